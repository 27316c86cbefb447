"""kill -9 before and behind every storage call of every key change; then another process finds all keys as they were or should be."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError
from holdfast.storage.local import LocalStorage
from holdfast.vault import Vault
from holdfast.vault.check import Check
from holdfast.vault.errors import ScopeErased, ScopeExists, SlotUnknown, WrongKey
from tests.vault.keys import killed
from tests.vault.keys.killed import ADDED, GOING, NEW, PII, change, keyring
from tests.vault.kit import CHEAP, CLOCK, SECRET, capture, restore

ROOT = Path(__file__).parents[3]
PLAIN, SCOPED = {"a": b"a" * 70_000}, {"b": b"b" * 70_000}
VERBS = {"add": 4, "remove": 4, "label": 2, "prove": 2, "rotate": 4, "rotate-scope": 4, "revoke": 6, "add-scope": 8, "erase-scope": 6}
"""With how many writing storage calls each change does, at the least, in two locations."""


def opened(folder, *places, secret=SECRET, scopes=None, cache="other"):
    storages = [LocalStorage(str(folder / place)) for place in places or ("a", "b")]
    return Vault.open(storages, secret, clock=CLOCK, cache=folder / cache, scopes=scopes or {}, systems={"people": "pii"} if scopes else {})


@pytest.fixture(scope="module")
def origin(tmp_path_factory):
    """A vault with everything that a key change could hurt; made once, copied for every kill."""
    folder = tmp_path_factory.mktemp("origin")
    storages = [LocalStorage(str(folder / name), create=True) for name in ("a", "b")]
    vault, _ = Vault.create(storages, SECRET, clock=CLOCK, cache=folder / "cache", cost=CHEAP)
    keys = keyring(vault)
    keys.add(GOING, label="going", now=CLOCK.now())
    writer = keys.new_key("file", role="writer", label="db1", now=CLOCK.now()).text
    keys.scopes.add("pii", PII, label="pii", now=CLOCK.now(), erase="at-once")
    vault = opened(folder, scopes={"pii": PII})
    plain = capture(vault, PLAIN, system="orders")
    people = capture(vault, SCOPED, system="people")
    written = capture(opened(folder, secret=writer), PLAIN, system="orders")
    return folder, {plain.id: PLAIN, written.id: PLAIN}, {people.id: SCOPED}


def opens(folder, *places, **options):
    try:
        return opened(folder, *places, **options)
    except WrongKey:
        return None


@pytest.mark.parametrize("verb", VERBS)
def test_another_process_goes_on(origin, tmp_path, verb):
    folder, plain, people = origin
    command = [sys.executable, "-m", killed.__name__, verb, str(folder), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stderr
    ended = json.loads(done.stdout)
    kills = [name for name, status in ended.items() if status == -signal.SIGKILL]
    assert len(kills) >= 2 * VERBS[verb]
    assert sorted(status for status in ended.values() if status != -signal.SIGKILL) == [0, 0], done.stderr
    for name in ended:
        more = require_usable(tmp_path / name, verb, plain, people)
        finish(tmp_path / name, verb)
        require_done(tmp_path / name, verb, plain | more, people)


def require_usable(folder, verb, plain, people):
    """As the dead process left it: whoever had a key that was not being taken away reads everything, from each location alone."""
    for place in ("a", "b"):
        vault = opened(folder, place, scopes={"pii": PII}, cache=f"look-{place}")
        expected = plain | ({} if vault.closed else people)
        assert {point.id for point in vault.points()} == set(expected)
        for point, files in expected.items():
            assert restore(vault.point(point)) == files
        if verb != "erase-scope":
            assert not vault.closed
        if verb != "remove":
            assert opens(folder, place, secret=GOING, cache=f"look-{place}") is not None
    point = capture(opened(folder), PLAIN, system="trial")  # and writes
    assert restore(opened(folder, secret=SECRET, cache="fresh").point(point.id)) == PLAIN
    return {point.id: PLAIN}


def finish(folder, verb):
    """The next process does the same once more, or finds it done."""
    already = {"remove": SlotUnknown, "label": SlotUnknown, "add-scope": ScopeExists}.get(verb, ())
    try:
        change(opened(folder, scopes={"pii": PII}), verb)
    except already:
        keyring(opened(folder)).changes.complete()


def require_done(folder, verb, plain, people):
    everywhere = opened(folder, scopes={"pii": PII, "new": NEW})
    assert Check(everywhere, share=1).run().ok
    rings = {place: max(path.name for path in (folder / place / "keys/ring").iterdir()) for place in ("a", "b")}
    assert rings["a"] == rings["b"]
    for place in ("a", "b"):
        alone = {"secret": SECRET, "scopes": {"pii": PII, "new": NEW}, "cache": f"done-{place}"}
        vault = opened(folder, place, **alone)
        listed = {slot.id for slot in vault.slots()}
        slots = {path.name for part in ("slots", "scopes") for path in (folder / place / "keys" / part).rglob("*") if path.is_file()}
        assert listed <= slots
        assert (opens(folder, place, secret=ADDED, cache="x") is not None) == (verb == "add")
        assert (opens(folder, place, secret=GOING, cache="x") is not None) == (verb != "remove")
        assert ("new" in vault.closed) == (verb != "add-scope")
        assert isinstance(vault.closed.get("pii"), ScopeErased) == (verb == "erase-scope")
        for point, files in plain.items():
            assert restore(vault.point(point)) == files
        if verb == "erase-scope":
            with pytest.raises(HoldfastError):
                vault.point(next(iter(people)))
            assert not list((folder / place / "keys/shreds").glob("*"))
            assert not [path for path in (folder / place / "keys/scopes").rglob("*") if path.is_file()]
        if verb == "revoke":
            assert [one.revoked is not None for one in keyring(vault).writers.list() if one.label == "db1"] == [True]
        if verb == "rotate":
            number, epoch = vault.notary.bundle.epoch()
            assert number > 1
            assert epoch.private is not None
            assert opened(folder, place, secret=GOING, cache="x").notary.bundle.epoch()[1].private is not None
