"""Checkpoints of Spark's structured streams, cut to what the pinned tables hold (docs/delta-format.md, "Streaming checkpoints").

A query writes ``offsets/N``, then the table's commit with its ``txn`` at version N, then ``commits/N`` (Spark, "Structured Streaming
Programming Guide", recovery semantics; the layout is that of Spark 2.1 to 4).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.model import Finding
from holdfast.systems.delta.capture.pin import Pinned, Wanted
from holdfast.systems.delta.store import Missing, Store, Thing

_STATE = re.compile(r"state/.*/(\d+)(?:_[^/]*)?\.(?:delta|snapshot|zip|changelog)")


@dataclass(frozen=True)
class Stream:
    """``id`` is the query's; ``before``: the last batch that was done before the tables were pinned, -1 for none."""

    name: str
    store: Store
    prefix: str
    id: str
    before: int


def look(name: str, store: Store, prefix: str) -> Stream | None:
    """None: no query has written there yet. Asked before the tables are pinned."""
    try:
        query = str(json.loads(store.get(f"{prefix}metadata"))["id"])
    except (Missing, ValueError, KeyError, TypeError):
        return None
    done = _batches(store, f"{prefix}commits/")
    return Stream(name, store, prefix, query, max(done, default=-1))


@dataclass(frozen=True)
class Cut:
    """What is taken of a stream: batches up to ``commits`` as done, offsets up to ``offsets``."""

    wanted: Sequence[Wanted]
    commits: int
    offsets: int
    tables: Sequence[str]
    findings: Sequence[Finding]


def cut(stream: Stream, pinned: Mapping[str, Pinned]) -> Cut:
    """The checkpoint's files that go with the pinned tables. Asked after they were pinned."""
    known = {name: int(one.snapshot.txns[stream.id]["version"]) for name, one in pinned.items() if stream.id in one.snapshot.txns}
    done = min(known.values()) if known else stream.before
    planned = max(known.values()) if known else stream.before
    findings = []
    things = [(thing, thing.key[len(stream.prefix) :]) for thing in stream.store.things(stream.prefix)]
    kept = [thing for thing, inner in things if belongs(inner, done, planned)]
    offsets = {int(inner.split("/")[1]) for thing, inner in things if re.fullmatch(r"offsets/\d+", inner)}
    if planned >= 0 and planned not in offsets:
        findings.append(
            Finding(
                code="delta-stream-torn",
                message=f"The checkpoint {stream.name} lacks offsets/{planned}, a batch that {', '.join(known) or 'its query'} holds:"
                " it was removed or put back from elsewhere. Restored, the query would cut the batch anew and the table would skip it.",
                where={"stream": stream.name, "batch": planned},
            )
        )
    if not known and stream.before >= 0:
        findings.append(
            Finding(
                code="delta-stream-unknown",
                message=f"No table of the plan has heard of the query of {stream.name} ({stream.id}): its checkpoint is that of before the"
                " tables were pinned, so nothing is lost, but batches may arrive twice.",
                where={"stream": stream.name},
            )
        )
    return Cut([_wanted(stream, thing) for thing in kept], done, planned, sorted(known), findings)


def _wanted(stream: Stream, thing: Thing) -> Wanted:
    inner = thing.key[len(stream.prefix) :]
    # Small and written anew under the same names after a restart: compared by time and ETag like a log.
    return Wanted(f"streams/{stream.name}/{inner}", thing.key, thing.size, thing.mtime_ns, thing.etag, log=True)


def belongs(inner: str, done: int, planned: int) -> bool:
    """Whether a file of a checkpoint is of batches up to ``done`` (their commits, their state) and ``planned`` (their offsets)."""
    folder, _, rest = inner.partition("/")
    if rest.endswith(".tmp") or ("/." in f"/{rest}" and not rest.endswith(".crc")):
        return False
    # Hadoop's local file system keeps a checksum beside each file: .N.crc
    name = rest.rpartition("/")[2].removeprefix(".").removesuffix(".crc") if rest.endswith(".crc") else rest
    if folder == "commits" and name.isdigit():
        return int(name) <= done
    if folder == "offsets" and name.isdigit():
        return int(name) <= planned
    if folder == "state":
        plain = f"state/{rest.rpartition('/')[0]}/{name}" if rest.endswith(".crc") else inner
        match = _STATE.fullmatch(plain)
        return match is None or int(match[1]) <= done + 1
    return True


def _batches(store: Store, prefix: str) -> list[int]:
    names = (thing.key[len(prefix) :] for thing in store.things(prefix))
    return [int(name) for name in names if name.isdigit()]
