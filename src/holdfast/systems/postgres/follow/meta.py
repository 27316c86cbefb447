"""What is recorded beside an increment of WAL, so that moments are found without reading it."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.wal.format import Event, Kind, Summary

MOST_SAMPLES = 64
MOST_MERGED = 256
"""So many samples and checkpoints of an increment that joins others: its head stays small."""


def iso(microseconds: int) -> str:
    """Microseconds since the Unix epoch as ISO 8601 in UTC."""
    return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=microseconds)).isoformat(timespec="microseconds")


def describe(
    branch: str, timeline: int, segment_size: int, events: Sequence[Event], summary: Summary, *, covered: int | None
) -> dict[str, Any]:
    """The meta of an increment. Only what there is appears.

    ``covered``: microseconds; whatever was committed before it lies before the increment's end.
    """
    meta: dict[str, Any] = {
        "system_identifier": branch.partition("-")[0],
        "timeline": timeline,
        "segment_size": segment_size,
        "commits": summary.commits,
    }
    if covered:
        meta["server_time"] = iso(covered)
    if summary.commits:
        meta |= {"first_commit": iso(summary.first), "last_commit": iso(summary.last), "last_commit_lsn": lsn.show(summary.last_start)}
        if summary.xid_max:
            meta |= {"xid_min": summary.xid_min, "xid_max": summary.xid_max}
    points = [
        {"name": e.name.decode("utf-8", "replace"), "lsn": lsn.show(e.start), "end": lsn.show(e.end), "time": iso(e.time)}
        for e in events
        if e.kind == Kind.RESTORE_POINT
    ]
    if points:
        meta["restore_points"] = points
    samples = [[iso(e.time), lsn.show(e.start)] for e in events if e.kind == Kind.SAMPLE]
    if samples:
        meta["samples"] = samples[:: max(1, -(-len(samples) // MOST_SAMPLES))]
    recoveries = [{"lsn": lsn.show(e.start), "timeline": e.a, "previous": e.b} for e in events if e.kind == Kind.END_OF_RECOVERY]
    if recoveries:
        meta["end_of_recovery"] = recoveries
    checkpoints = [{"lsn": lsn.show(e.start), "redo": lsn.show(e.a)} for e in events if e.kind == Kind.CHECKPOINT]
    if checkpoints:
        meta["checkpoints"] = checkpoints[-4:]
    bad = [lsn.show(e.start) for e in events if e.kind == Kind.BAD]
    if bad:
        # Kept and told, never a reason to stop: the server may be newer than this scanner.
        meta["unreadable"] = bad[:16]
    return meta


_LISTS = {"restore_points": None, "samples": MOST_MERGED, "end_of_recovery": None, "checkpoints": MOST_MERGED, "unreadable": MOST_MERGED}
"""What several increments tell one after the other, and how many of it a joined one tells at most."""


def merge(metas: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The meta of an increment that joins others, in order. What it says is true of all of their bytes together."""
    merged: dict[str, Any] = {}
    for meta in metas:
        merged |= meta  # what is the same in all; of what moves on (record_end, last_commit_lsn) the last
    merged["commits"] = sum(meta.get("commits", 0) for meta in metas)
    for name, choose in (("server_time", max), ("first_commit", min), ("last_commit", max)):
        times = [dt.datetime.fromisoformat(meta[name]) for meta in metas if meta.get(name)]
        if times:
            merged[name] = choose(times).isoformat(timespec="microseconds")
    xids = [meta for meta in metas if "xid_max" in meta]
    if xids:
        merged |= {"xid_min": min(meta["xid_min"] for meta in xids), "xid_max": max(meta["xid_max"] for meta in xids)}
    for name, most in _LISTS.items():
        found = [one for meta in metas for one in meta.get(name, ())]
        if found:
            merged[name] = found if most is None else found[:: -(-len(found) // most)]
    return merged
