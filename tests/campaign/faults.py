"""Storages that misbehave within what they promise, each kind planned for a call and seen to fire."""

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterable

from holdfast.model import SystemClock
from holdfast.storage.contract import ObjectInfo, Storage, StorageFull
from holdfast.storage.wrappers.base import Wrapper
from holdfast.storage.wrappers.faults import Fault, Faulty, denied, full, unreachable
from holdfast.storage.wrappers.retry import Retrying
from tests.campaign.ledger import Ledger
from tests.campaign.stage import BOTH, Wrap
from tests.campaign.watch import Report

FOR_GOOD = 10**9
ONE_GONE = "one location gone from here on"


class Lagging(Wrapper):
    """Listings go on showing objects for some time after they were deleted: only what was put is promised to be seen."""

    def __init__(self, inner: Storage, shown: int, fired: Callable[[str], None], before: Iterable[ObjectInfo] = ()) -> None:
        super().__init__(inner)
        self.ghosts = {info.name: (info, shown) for info in before}
        self.shown, self.fired = shown, fired
        self.lock = threading.Lock()

    def put_if_absent(self, name, parts) -> None:
        self.inner.put_if_absent(name, parts)
        with self.lock:
            self.ghosts.pop(name, None)

    def delete(self, name) -> None:
        info = self.inner.head(name)
        self.inner.delete(name)
        if info is not None:
            with self.lock:
                self.ghosts[name] = info, self.shown

    def list(self, prefix="", after=""):
        found = {info.name: info for info in self.inner.list(prefix, after)}
        with self.lock:
            for name, (info, left) in list(self.ghosts.items()):
                if name.startswith(prefix) and name > after and name not in found:
                    found[name] = info
                    self.fired(f"list {name}")
                    self.ghosts[name] = info, left - 1
                    if left == 1:
                        del self.ghosts[name]
        return iter([found[name] for name in sorted(found)])


def gone_at(at: int) -> str:
    """Which location goes at its call number ``at``: now one, now the other."""
    return BOTH[at % 2]


def slow(_call: str, _name: str) -> None:
    time.sleep(0.05)


class Recording(Wrapper):
    """Tells the ledger what is deleted, for a later process to see it listed still."""

    def __init__(self, inner: Storage, ledger: Ledger) -> None:
        super().__init__(inner)
        self.ledger = ledger

    def delete(self, name) -> None:
        info = self.inner.head(name)
        self.inner.delete(name)
        if info is not None:
            facts = {"size": info.size, "modified": info.modified.isoformat()}
            self.ledger.say("deleted", where=self.url.rpartition("/")[2], name=name, **facts)


def deleted(ledger: Ledger, where: str) -> list[ObjectInfo]:
    """What earlier processes deleted in a location."""
    return [
        ObjectInfo(line["name"], line["size"], dt.datetime.fromisoformat(line["modified"]))
        for line in ledger.lines("deleted")
        if line["where"] == where
    ]


class FullSeen(Wrapper):
    """Tells when a put really found no room."""

    def __init__(self, inner: Storage, report: Report) -> None:
        super().__init__(inner)
        self.report = report

    def put_if_absent(self, name, parts) -> None:
        try:
            self.inner.put_if_absent(name, parts)
        except StorageFull:
            self.report(fired=f"no room for {name}")
            raise


def plan(kind: str, at: int, report: Report, ledger: Ledger) -> Wrap:
    """What goes round each storage so that a fault of ``kind`` happens at call ``at`` (1 is the first) of all locations together."""

    def told(act: Callable[[str, str], None]) -> Callable[[str, str], None]:
        def fire(call: str, name: str) -> None:
            report(fired=f"{call} {name}")
            act(call, name)

        return fire

    if kind == "listing that lags":
        return lambda storage: Lagging(storage, at, lambda what: report(fired=what), deleted(ledger, storage.url.rpartition("/")[2]))
    fault = {
        "failing before the effect": lambda: Fault("*", told(unreachable), after=at - 1),
        "failing after the effect": lambda: Fault("*", told(unreachable), after=at - 1, late=True),
        "lost answers, repeated": lambda: Fault("*", told(unreachable), after=at - 1, times=3, late=True),
        "full disk": lambda: Fault("put", told(full), after=at - 1, times=FOR_GOOD),
        "unreachable from here on": lambda: Fault("*", told(unreachable), after=at - 1, times=FOR_GOOD),
        "denied from here on": lambda: Fault("*", told(denied), after=at - 1, times=FOR_GOOD),
        ONE_GONE: lambda: Fault("*", told(unreachable), after=at - 1, times=FOR_GOOD),
        "slow": lambda: Fault("*", told(slow), after=at - 1, times=4),
    }[kind]()
    if kind == "lost answers, repeated":
        return lambda storage: Retrying(Faulty(storage, fault), SystemClock(), patience=20, first=0.001, longest=0.01)
    if kind == ONE_GONE:
        gone = f"/{gone_at(at)}"
        return lambda storage: Faulty(storage, fault) if storage.url.endswith(gone) else storage
    return lambda storage: Faulty(storage, fault)


KINDS = (
    "failing before the effect",
    "failing after the effect",
    "lost answers, repeated",
    "full disk",
    "unreachable from here on",
    ONE_GONE,
    "denied from here on",
    "slow",
    "listing that lags",
)
