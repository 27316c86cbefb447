"""The newest copies of journal and plan, and what proves them, are locked again by each check: no commit needs them, so none locks them."""

import datetime as dt
from collections.abc import Iterable
from pathlib import Path

from holdfast.storage.contract import Storage, versions_of
from holdfast.vault.format import names
from holdfast.vault.lock.extend import MARGIN, LockBook, extend
from holdfast.vault.lock.policy import slack

ENTRIES = 1000
"""Newest entries, anchors and documents of evidence of each host, newest keys of hosts ..."""
PLANS = 10
"""... and newest plans, and as many copies of runbooks and of suites, that stay locked as long as somebody checks. Older ones are locked
once."""


_OF_HOSTS = (names.JOURNAL, names.ANCHORS, names.EVIDENCE, names.HOSTS)


def keep_records(storage: Storage, cache: Path | None, held: Iterable[str]) -> int:
    """Of the names ``held`` by the location; returns how many locks were made longer. Raises the storage's errors."""
    layer = versions_of(storage)
    if layer is None or layer.lock is None:
        return 0
    wanted = newest(held)
    least = layer.time() + layer.lock.term + MARGIN
    book = LockBook(cache, layer)
    try:
        known = book.known(wanted)
        early = dt.datetime.min.replace(tzinfo=dt.UTC)
        short = [(name, least + slack(layer.lock), least) for name in wanted if known.get(name, early) < least]
        return extend(layer, book, short, required=False)
    finally:
        book.close()


def newest(held: Iterable[str]) -> list[str]:
    """The names of what is locked again: they end in numbers and times that sort."""
    groups: dict[str, list[str]] = {}
    for name in held:
        if name.startswith(_OF_HOSTS):
            groups.setdefault(name.rpartition("/")[0], []).append(name)
        elif name.startswith(names.PLAN):
            groups.setdefault("plan." + name.partition(".")[2], []).append(name)
    return [name for group, some in groups.items() for name in sorted(some)[-(PLANS if group.startswith("plan.") else ENTRIES) :]]
