"""A plan that is broken or not there where it was named keeps nobody from declaring, answering and writing down."""

import json

import pytest

from tests.incidents.kit import command


@pytest.mark.parametrize(
    ("text", "named"), [("platform: [", {}), ("platform: shop\nsystms: {}\n", {}), (None, {"HOLDFAST_PLAN": "gone.yaml"})]
)
def test_without_a_readable_plan_it_is_done_and_said(tmp_path, text, named):
    if text is not None:
        (tmp_path / "holdfast.yaml").write_text(text)
    for words in (("declare", "the lights are out", "--system", "lights"), ("ack", "current"), ("note", "current", "candles help")):
        done = command(tmp_path, "incident", *words, "--json", "--as", "anna", **named)
        assert done.returncode == 0, done.stderr
        assert "Done without the plan" in done.stderr
        assert json.loads(done.stdout)["plan_unread"]
    assert json.loads(done.stdout)["state"] == "acknowledged"
    refused = command(tmp_path, "incident", "update", "current", "we look", "--json", **named)
    assert refused.returncode == 2  # what must not go outside stands in the plan
