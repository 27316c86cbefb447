"""Generated pages are what the program generates now; codes of errors are unique and the families' own."""

from collections import Counter
from pathlib import Path

from scripts.docs import cli, errors

ROOT = Path(__file__).resolve().parents[2]
HINT = "run `make docs` and commit what it writes"


def test_the_reference_of_errors_is_up_to_date():
    assert (ROOT / "docs" / "errors.md").read_text() == errors.page(), HINT


def test_the_reference_of_commands_is_up_to_date():
    assert (ROOT / "docs" / "cli.md").read_text() == cli.page(), HINT


def test_every_error_has_a_code_of_its_own_and_says_what_it_means():
    tree = errors.tree()
    assert len(tree) > 15
    twice = {code: count for code, count in Counter(one.code for one in tree).items() if count > 1}
    assert not twice, f"one code for several errors: {[one for one in tree if one.code in twice]}"
    assert [one for one in tree if not errors.meaning(one)] == []
    assert {one.status for one in tree} <= set(errors.FAMILIES)
