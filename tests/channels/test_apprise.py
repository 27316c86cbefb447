"""The library for everything else: delivered for real, loaded late, silent about its address."""

import json
import subprocess
import sys

import pytest

from holdfast.connect.channels import ChannelDown, ChannelRejected
from holdfast.connect.channels.apprise import Apprise
from holdfast.errors import MissingExtra
from tests.channels.kit import message
from tests.channels.serving import Asked, Service, Told, exactly

# It asks the standard library for a module that is to go.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class Receiver(Service):
    """What apprise's own 'json://' posts (https://github.com/caronc/apprise/wiki/Notify_Custom_JSON)."""

    def __init__(self) -> None:
        self.got: list[dict] = []
        super().__init__()

    def refuse(self, why):
        return Told(400)

    def handle(self, asked: Asked) -> Told:
        body = json.loads(asked.body)
        exactly(body, {"version": str, "title": str, "message": str, "type": str}, {"attachments": list})
        assert asked.headers["authorization"].startswith("Basic ")
        self.got.append(body)
        return Told(200)


def test_a_message_is_delivered_with_its_mark_and_nothing_is_written_to_disk(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    with Receiver() as service:
        client = Apprise("rest", f"json://user:hidden-secret@{service.host}/path")
        client.check()
        client.send(message(drill=True), None)
        client.send(message("resolved", 2), None)
        assert [one["type"] for one in service.got] == ["failure", "success"]
        assert service.got[0]["title"].startswith("[DRILL] P1 ")
        assert "Nothing was written since 11:58." in service.got[0]["message"]
        service.always = Told(500)
        with pytest.raises(ChannelDown) as down:
            client.send(message(), None)
        assert down.value.maybe
        assert "hidden-secret" not in f"{down.value!r} {down.value.hint}"
    assert list(tmp_path.rglob("*")) == []


def test_an_address_that_it_does_not_know_is_not_repeated():
    with pytest.raises(ChannelRejected) as refused:
        Apprise("rest", "nosuch://hidden-secret").check()
    assert "hidden-secret" not in f"{refused.value!r} {refused.value.hint}"


def test_it_is_loaded_only_when_it_is_used_and_told_when_it_is_missing(monkeypatch):
    code = "import sys, holdfast.connect.channels.apprise, holdfast.assembly.channels; print('apprise' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(MissingExtra, match="extra 'apprise'"):
        Apprise("rest", "json://localhost").check()
