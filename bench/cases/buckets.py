"""A bucket on MinIO into a vault and back: first capture, unchanged, restore; growth over the number of objects."""

import hashlib
import itertools
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from bench.contenders.buckets import BucketBound, BucketKeeper, HoldfastBucket, Rclone
from bench.measure import Run, RunFailed
from bench.results import Results
from holdfast.connect.objects import Objects, Options, open_objects
from tests.servers import MinioServer, ServerMissing

Say = Callable[[str], None]
Keeper = BucketBound | Rclone | HoldfastBucket
OBJECTS, SIZE = 4000, 256 << 10
CASES = ("first", "unchanged", "restore")
SMALL = 4 << 10
"""Bytes of an object where growth is measured."""


def measure(results: Results, kind: str, count: int, size: int, rounds: int, wanted: set[str], say: Say, *, warm: bool = True) -> None:
    """``count`` objects of ``size`` bytes that do not shrink; contenders take turns, and who comes first alternates."""

    def fill(store: Objects) -> None:
        say(f"{kind}: making {count:,} objects")
        with ThreadPoolExecutor(16) as pool:
            for _ in pool.map(lambda i: store.put(f"d{i % 100:02}/object-{i:08}", os.urandom(size)), range(count)):
                pass
        results.fact(kind, "data", "bucket", objects=count, bytes=count * size)

    turns(results, kind, fill, (BucketBound, Rclone, HoldfastBucket), rounds, wanted, say, warm=warm)


def turns(
    results: Results,
    kind: str,
    fill: Callable[[Objects], None],
    who: Sequence[type[Keeper]],
    rounds: int,
    wanted: set[str],
    say: Say,
    *,
    warm: bool = True,
) -> None:
    """Each of ``who`` over a bucket that ``fill`` fills, in turns. ``warm``: once before, not timed."""
    try:
        server = MinioServer.create()
    except ServerMissing as missing:
        results.missing.append(str(missing))
        return
    keepers: list[BucketKeeper] = []
    try:
        bucket = server.bucket()
        store = _open(server, bucket)
        fill(store)
        keepers = _enter(results, server, bucket, who, wanted)
        for turn in range(0 if warm else 1, rounds + 1):
            say(f"{kind}: round {turn} of {rounds}" if turn else f"{kind}: everybody once, not timed")
            for one in keepers if turn % 2 == 0 else reversed(keepers):
                _round(results, kind, one, server, store, timed=turn > 0)
        store.close()
    except RunFailed as failure:
        results.missing.append(f"{kind}: {failure}")
    finally:
        server.remove()
        for one in keepers:
            shutil.rmtree(one.home, ignore_errors=True)


def growth(results: Results, counts: Sequence[int], rounds: int, wanted: set[str], say: Say) -> None:
    """More and more small objects, and how each case's time grows: 1 is in proportion."""
    for count in counts:
        # Programs and modules are warm after the first, and a hundred thousand objects take a quarter of an hour.
        measure(results, _name(count), count, SMALL, rounds, wanted - {"bound"}, say, warm=count == counts[0])
    for few, many in itertools.pairwise(counts):
        for one in ("holdfast", "rclone"):
            for case in CASES:
                before, after = results.median(_name(few), case, one), results.median(_name(many), case, one)
                if before and after:
                    results.fact("objects", case, one, **{f"{few}_to_{many}": (after / before) / (many / few)})


def _name(count: int) -> str:
    return f"{count:,} o"


def _enter(results: Results, server: MinioServer, bucket: str, who: Sequence[type[Keeper]], wanted: set[str]) -> list[BucketKeeper]:
    found: list[BucketKeeper] = []
    for one in who:
        if one.name in wanted:
            try:
                found.append(one(server, bucket))
            except ServerMissing as missing:
                results.missing.append(str(missing))
    return found


def _round(results: Results, kind: str, one: BucketKeeper, server: MinioServer, source: Objects, *, timed: bool) -> None:
    one.fresh()
    runs: dict[str, Run] = {"first": one.capture()}
    kept = one.stored()
    if one.name != "bound":
        runs["unchanged"] = one.capture()
    into = server.bucket()
    runs["restore"] = one.restore(into)
    target = _open(server, into)
    if digest(target) != digest(source):
        results.missing.append(f"{one.name}'s restore on {kind} is WRONG")
    _empty(target)
    target.close()
    if timed:
        for case, done in runs.items():
            results.add(kind, case, one.name, done)
        results.fact(kind, "first", one.name, stored=kept)


def digest(store: Objects) -> str:
    """Over keys, sizes and ETags, which are the MD5 of what was put whole."""
    found = hashlib.sha256()
    for listed in store.list():
        found.update(repr((listed.key, listed.size, listed.etag)).encode())
    return found.hexdigest()


def _empty(store: Objects) -> None:
    keys = [listed.key for listed in store.list()]
    for start in range(0, len(keys), 1000):
        store.delete(keys[start : start + 1000])


def _open(server: MinioServer, bucket: str) -> Objects:
    credentials = {"access_key_id": server.access_key, "secret_access_key": server.secret_key}
    return open_objects(f"s3://{bucket}", Options(endpoint=server.endpoint, credentials=credentials))
