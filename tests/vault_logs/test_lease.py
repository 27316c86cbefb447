"""One follower a branch."""

import datetime as dt
import subprocess
import sys
import threading
import time

import pytest

from holdfast.storage import ObjectExists
from holdfast.storage.wrappers.base import Wrapper
from holdfast.vault.errors import RoleLacking
from holdfast.vault.logs import LeaseLost, LogFollowed
from holdfast.vault.logs import lease as lease_module


def test_a_second_follower_is_refused_until_the_first_ends(place):
    first = place.logs().writer("main")
    with pytest.raises(LogFollowed) as refused:
        place.logs().writer("main")
    assert "free in" in refused.value.message
    with place.logs().writer("other"), place.logs("events").writer("main"):
        pass
    first.close()
    place.logs().writer("main").close()


def test_of_many_at_once_one_wins(place):
    won, lost = [], []
    barrier = threading.Barrier(6)

    def run():
        logs = place.logs()
        barrier.wait()
        try:
            won.append(logs.writer("main"))
        except LogFollowed as refused:
            lost.append(refused)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert len(lost) == 5
    won[0].close()


def test_a_lease_that_ran_out_is_taken_over_and_the_sleeper_is_told(place, monkeypatch):
    monkeypatch.setattr(lease_module.Lease, "_renew_for_ever", lambda self: None)
    sleeper = place.logs(lease_seconds=1).writer("main")
    sleeper.append(0, b"before", {})
    time.sleep(1.3)
    with place.logs().writer("main") as second:
        second.append(6, b"taken", {})
        with pytest.raises(LeaseLost):
            sleeper.append(6, b"taken", {})
        with pytest.raises(LeaseLost):
            sleeper.append(11, b"more", {})
        second.append(11, b"on", {})
    sleeper.close()


class JustRenewed(Wrapper):
    """Its time is a second behind the newest renewal that was listed."""

    def __init__(self, inner):
        super().__init__(inner)
        self.newest = None

    def list(self, prefix="", after=""):
        for info in self.inner.list(prefix, after):
            if info.name.startswith("sessions/follow-"):
                self.newest = max(self.newest or info.modified, info.modified)
            yield info

    def now(self):
        return self.inner.now() if self.newest is None else self.newest + dt.timedelta(seconds=1)


def test_a_lease_is_renewed_while_its_holder_lives(place):
    """Four times, each a third of the lease after the one before: it had run out by then."""
    with place.logs(lease_seconds=2).writer("main") as writer:
        until = time.monotonic() + 60
        while writer._lease._number < 5:
            assert time.monotonic() < until
            time.sleep(0.01)
        # Asked half a lease behind the newest renewal, however late this thread comes to it.
        with pytest.raises(LogFollowed):
            place.logs(lease_seconds=2, wrap=JustRenewed).writer("main")
        # An old one goes when the next stands.
        while len(list(place.open().locations.first.list("sessions/"))) > 1:
            assert time.monotonic() < until


CHILD = """
import os, sys
from pathlib import Path
from holdfast.model import SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.vault.vault import Vault
from holdfast.vault.logs import SystemLogs
vault = Vault.open([LocalStorage(folder) for folder in sys.argv[2:]], "secret", clock=SystemClock(), cache=Path(sys.argv[1]))
SystemLogs(vault.locations, vault.notary, vault.clock, "orders-db").writer("main").append(0, b"durable", {})
print("stored", flush=True)
sys.stdin.read()
"""


def test_a_killed_follower_of_this_machine_is_followed_at_once(place):
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(place.cache), *place.folders], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "stored\n"
    with pytest.raises(LogFollowed):
        place.logs().writer("main")
    child.kill()
    child.wait()
    child.stdin.close()
    child.stdout.close()
    with place.logs().writer("main") as writer:
        assert writer.end == 7


def test_one_that_slept_between_looking_and_taking_does_not_take(place, monkeypatch):
    """Its number was used and cleaned away meanwhile: put-if-absent alone would let it in."""
    monkeypatch.setattr(lease_module.Lease, "_renew_for_ever", lambda self: None)
    holders = []

    class Slow(Wrapper):
        def put_if_absent(self, name, parts):
            if name.startswith("sessions/") and not holders:
                holders.append(place.logs().writer("main"))
                holders[0]._lease._renew()
                holders[0]._lease._renew()
            super().put_if_absent(name, parts)

    with pytest.raises(LogFollowed):
        place.logs(wrap=Slow).writer("main")
    holders[0].append(0, b"x", {})
    holders[0]._lease._renew()
    holders[0].close()


def test_a_renewal_whose_answer_was_lost_is_not_a_loss(place, monkeypatch):
    monkeypatch.setattr(lease_module.Lease, "_renew_for_ever", lambda self: None)
    told = []

    class Doubled(Wrapper):
        def put_if_absent(self, name, parts):
            super().put_if_absent(name, parts)
            if name.startswith("sessions/") and name.endswith("2"):
                told.append(name)
                raise ObjectExists(name)

    writer = place.logs(wrap=Doubled).writer("main")
    writer._lease._renew()
    assert told
    writer.append(0, b"x", {})
    writer.close()


def test_who_is_about_to_hold_it_is_not_taken_for_dead(place):
    """Found by another thread of the same process before the constructor has ended."""
    refused = []

    class Looked(Wrapper):
        def put_if_absent(self, name, parts):
            super().put_if_absent(name, parts)
            if name.startswith("sessions/") and not refused:
                with pytest.raises(LogFollowed) as caught:
                    place.logs().writer("main")
                refused.append(caught.value)

    with place.logs(wrap=Looked).writer("main") as writer:
        assert refused
        writer.append(0, b"x", {})


def test_a_lease_that_is_released_while_it_is_looked_at_is_free(place):
    held = [place.logs().writer("main", "backup")]

    class Released(Wrapper):
        def list(self, prefix="", after=""):
            yield from list(super().list(prefix, after))
            if prefix.startswith("sessions/follow-") and held:
                held.pop().close()

    with place.logs(wrap=Released).writer("main") as writer:
        assert not held
        writer.append(0, b"x", {})


def test_a_backup_that_takes_it_at_the_same_moment_is_known_and_asked(place):
    held = []

    class Taken(Wrapper):
        def put_if_absent(self, name, parts):
            if name.startswith("sessions/follow-") and not held:
                held.append(place.logs().writer("main", "backup"))
            super().put_if_absent(name, parts)

    with pytest.raises(LogFollowed) as refused:
        place.logs(wrap=Taken).writer("main")
    assert refused.value.details["by"] == "backup"
    assert held[0].wanted
    held[0].close()


def asks(place):
    return [one.name for one in place.open().locations.first.list("sessions/ask-")]


def test_a_backup_hears_a_follower_that_waits_and_nobody_else(place):
    backup = place.logs().writer("main", "backup")
    with pytest.raises(LogFollowed) as refused:
        place.logs().writer("main", "backup")
    assert refused.value.details["by"] == "backup"
    assert not backup.wanted
    for _ in range(2):
        with pytest.raises(LogFollowed):
            place.logs().writer("main")
        assert backup.wanted
    other = place.logs().writer("other", "backup")
    assert not other.wanted
    other.close()
    backup.append(0, b"last", {})
    backup.close()
    with place.logs().writer("main") as follower:
        assert follower.end == 4
        with pytest.raises(LogFollowed):
            place.logs().writer("main")
        assert not follower.wanted
    assert asks(place) == []


def test_what_a_follower_asked_of_one_backup_is_not_heard_by_the_next(place, monkeypatch):
    monkeypatch.setattr(lease_module.Lease, "_forget", lambda *_: None)
    backup = place.logs().writer("main", "backup")
    with pytest.raises(LogFollowed):
        place.logs().writer("main")
    backup.close()
    assert len(asks(place)) == 1
    with place.logs().writer("main", "backup") as following:
        assert not following.wanted


def test_a_backup_that_was_killed_after_it_was_asked_leaves_nothing_behind(place):
    code = CHILD.replace('writer("main")', 'writer("main", "backup")')
    command = [sys.executable, "-c", code, str(place.cache), *place.folders]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "stored\n"
        with pytest.raises(LogFollowed):
            place.logs().writer("main")
        assert len(asks(place)) == 1
        child.kill()
        child.wait()
    with place.logs().writer("main") as writer:
        assert writer.end == 7
    assert asks(place) == []


def test_only_what_is_signed_counts_as_asked(place):
    backup = place.logs().writer("main", "backup")
    with pytest.raises(LogFollowed):
        place.logs().writer("main")
    (name,) = asks(place)
    storage = place.open().locations.first
    for forged in (b"", b"please", storage.get(next(storage.list("sessions/follow-")).name)):
        storage.delete(name)
        storage.put_if_absent(name, [forged])
        assert not backup.wanted
    backup.close()


def test_a_renewal_that_is_refused_is_told_by_the_next_append(place):
    """Its writer was revoked, or the role taken: the thread that renews has nobody to tell."""
    log = place.logs(lease_seconds=1).writer("main")
    log.append(0, b"before", {})
    refused = threading.Semaphore(0)

    def refuse(*_args, **_options):
        refused.release()
        raise RoleLacking("Revoked.", hint="Take a new key.")

    notary = log._lease._notary
    making = notary.make
    notary.make = refuse
    try:
        for _ in range(3):
            assert refused.acquire(timeout=60)
        with pytest.raises(RoleLacking):
            log.append(6, b"after", {})
    finally:
        notary.make = making
        log.close()
