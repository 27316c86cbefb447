"""Journals of other hosts come out of the vault in part, and only what continues what is here is believed."""

from holdfast.incidents.others import pull
from tests.incidents.kit import host, orders


class Stored:
    """A location of a vault that holds other hosts' journals."""

    def __init__(self, lines: dict[str, list[bytes]], first: int = 2000) -> None:
        self.held, self.first, self.fetched = lines, first, 0

    def tags(self) -> list[str]:
        return sorted(self.held)

    def lines(self, tag, begin):
        found = self.held[tag][begin:] if begin else self.held[tag][-self.first :]
        self.fetched += len(found)
        yield from found


def lines_of(here) -> dict[str, list[bytes]]:
    return {tag: list(here.journal.lines(tag)) for tag in here.journal.chains()}


def test_only_what_is_new_is_fetched(tmp_path):
    one, two = host(tmp_path, "ops1"), host(tmp_path, "ops2")
    found, _ = one.room.declare(orders(), one.who("anna"))
    stored = Stored(lines_of(one))
    assert pull(two.log, stored) == 2
    assert pull(two.log, stored) == 0
    one.room.note(found.id, one.who("anna"), "x")
    stored.held = lines_of(one)
    assert (pull(two.log, stored), stored.fetched) == (1, 3)
    assert two.log.load(found.id) == one.log.load(found.id)
    assert pull(one.log, stored) == 0  # its own


def test_of_a_long_journal_the_newest_are_enough(tmp_path):
    one, two = host(tmp_path, "ops1"), host(tmp_path, "ops2")
    for number in range(5):
        one.room.declare(orders(title=f"old {number}"), one.who("anna"))
    found, _ = one.room.declare(orders(), one.who("anna"))
    stored = Stored(lines_of(one), first=2)
    assert pull(two.log, stored) == 2
    assert sorted(incident.title for incident in two.log.all()) == ["old 4", "orders are gone"]
    one.room.acknowledge(found.id, one.who("ben"))
    stored.held = lines_of(one)
    assert pull(two.log, stored) == 1
    assert two.log.load(found.id).state == "acknowledged"


def test_what_was_changed_or_does_not_continue_is_told_and_left(tmp_path):
    one, two = host(tmp_path, "ops1"), host(tmp_path, "ops2")
    found, _ = one.room.declare(orders(), one.who("anna"))
    one.room.note(found.id, one.who("anna"), "a true word")
    [(tag, lines)] = lines_of(one).items()
    told: list[str] = []
    forged = [*lines[:2], lines[2].replace(b"a true word", b"a fake word")]
    assert pull(two.log, Stored({tag: forged}), told.append) == 2
    assert "not believed" in told[-1]
    assert pull(two.log, Stored({tag: [*lines[:2], lines[0]]}), told.append) == 0
    assert "does not continue" in told[-1]
    assert pull(two.log, Stored({tag: lines}), told.append) == 1
    # What lies here and was damaged is fetched anew.
    path = two.log.others / f"{tag}.jsonl"
    path.write_bytes(path.read_bytes()[:-20])
    assert pull(two.log, Stored({tag: lines})) == 3
    assert two.log.load(found.id) == one.log.load(found.id)
