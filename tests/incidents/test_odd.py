"""What nobody expects in an entry or a name keeps neither people from answering, nor messages from them, nor backups from being made."""

import pytest

from holdfast.incidents.messages import messages
from holdfast.incidents.upkeep import due, queue
from holdfast.state import State
from tests.incidents.kit import Clock, host, orders
from tests.incidents.test_commands import answer, command, shop

__all__ = ["shop"]


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("severity", {"now": "P1"}),
        ("severity", {"to": "P0"}),
        ("mitigated", {"lost": {"orders-db": "much"}}),
        ("action", {"name": "A1"}),
        ("declared", {"systems": ["orders-db"]}),
        ("note", {"text": "x", "tell": [{"channel": "chat"}]}),
    ],
)
def test_an_entry_of_another_shape_changes_nothing_and_stops_nobody(tmp_path, kind, data):
    here = host(tmp_path)
    found, _ = here.room.declare(orders(), here.who("anna"))
    here.journal.record(f"incident.{kind}", incident=found.id, by=here.who("ben").to_json(), cites=[], data=data)
    here.journal.record("incident.declared", incident="INC-00000000", by=here.who("ben").to_json(), cites=[], data={"name": "x"})
    seen = here.log.all()
    assert [(one.id, one.severity) for one in seen] == [(found.id, "P1")]
    assert due(seen, here.policy, here.log) == []
    assert len(list(messages(seen[0], here.policy))) == 2
    assert here.room.acknowledge(found.id, here.who("ben")).round.acknowledged is not None


def test_letters_of_another_encoding_are_queued(tmp_path):
    here = host(tmp_path)
    state = State(tmp_path / "state", Clock())
    found, _ = here.room.declare(orders(title="caf\udce9 is down"), here.who("anna"))
    found = here.room.acknowledge(found.id, here.who("\u0141ukasz\udce9"))
    assert queue(found, here.policy, here.log, state.outbox) == 4
    lines = state.outbox.lines()
    assert lines[0].message.title == "caf? is down"
    assert lines[2].message.by == "\u0141ukasz?"
    assert all(line.message.key.isascii() and line.message.key.isprintable() for line in lines)


def test_a_defect_in_incidents_costs_no_backup(shop, monkeypatch):
    from holdfast.assembly.incidents import Incidents

    def broken(_self):
        raise OSError("no space left")

    monkeypatch.setattr(Incidents, "upkeep", broken)
    (one, _), _, environ = shop
    done = command(one, "due", "--run", "--json", **environ)
    assert answer(done)["due"][0]["outcome"] == "ok"
    assert (done.returncode, "OSError: no space left" in done.stderr) == (3, True)
