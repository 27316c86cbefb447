"""One recovery point of a lake: pin every table, copy, commit; again at a newer version when a vacuum was faster."""

import hashlib
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any

from holdfast.model import Clock, Finding, Progress, RecoveryPoint
from holdfast.systems.contract import CaptureWriter
from holdfast.systems.delta.capture import streams as streaming
from holdfast.systems.delta.capture import vectors
from holdfast.systems.delta.capture.copying import Copier
from holdfast.systems.delta.capture.pin import Pinned, Wanted, pin
from holdfast.systems.delta.capture.sharing import share
from holdfast.systems.delta.capture.vanished import vanished
from holdfast.systems.delta.errors import NothingFound, RaceLost
from holdfast.systems.delta.log.listing import StoredLog
from holdfast.systems.delta.settings import DeltaSettings
from holdfast.systems.delta.store import Store
from holdfast.systems.delta.tables import find

if TYPE_CHECKING:
    from holdfast.systems.delta.capture.content import Contents

TRIES = 5
_NAMED = 1000


class Capture:
    """``run`` once."""

    def __init__(
        self, settings: DeltaSettings, store: Store, writer: CaptureWriter, progress: Progress, clock: Clock, name: str = "SYSTEM"
    ) -> None:
        self._name = name
        self._settings, self._store, self._writer, self._progress, self._clock = settings, store, writer, progress, clock
        base = writer.base.point if writer.base is not None else None
        self._base: Mapping[str, Any] = (base.facts.get("tables") or {}) if base is not None else {}
        self._suspect = {str(one.where.get("path")) for one in base.findings} if base is not None else set()
        self._pinned: dict[str, Pinned] = {}
        self._given_up: set[str] = set()

    def run(self, kind: str) -> RecoveryPoint:
        """Raises TableMissing, NothingFound, LogBroken, FeatureUnknown, RaceLost."""
        contents = self._contents()
        copier = Copier(self._store, opener(self._settings, self._store), self._writer, self._progress, self._reusable, contents)
        start = {"time": self._clock.now().isoformat()}
        for tries in range(1, TRIES + 1):
            waiting = self._look_at_streams()
            before = {name: one.snapshot.version for name, one in self._pinned.items()}
            self._pin()
            self._judge(copier, before)
            if contents is not None:
                contents.pinned(self._pinned)
            if tries == 1:
                self._progress.phase("copy", sum(one.snapshot.size for one in self._pinned.values()))
            if self._copy(copier):
                break
            lost = ", ".join(one.key or one.address or "" for one in copier.lost.gone[:3])
            self._progress.note(
                f"{len(copier.lost.gone)} files went away while they were copied (a vacuum?): {lost}. Starting again at a newer version."
            )
        else:
            raise RaceLost(
                f"Files of the pinned version went away in each of {TRIES} tries, the last: {lost}.",
                hint="Raise delta.deletedFileRetentionDuration above the time a capture takes, or let no vacuum run meanwhile.",
            )
        digests = contents.store() if contents is not None else {}
        if contents is not None:
            copier.lost.broken = {**contents.broken, **copier.lost.broken}
        facts, findings = self._streams(copier, waiting)
        findings = [*self._findings(copier), *self._vanished(copier), *findings]
        tables = {name: _facts(one) for name, one in self._pinned.items()}
        versions = {name: one.snapshot.version for name, one in self._pinned.items()}
        expected = {name: {"rows": one["rows"], "files": one["files"], "bytes": one["bytes"]} for name, one in tables.items()}
        for name, digest in digests.items():
            expected[name] |= {"rows": digest["rows"], "hash": digest["hash"]}
        return self._writer.commit(
            kind=kind,
            start=start,
            stop={"time": self._clock.now().isoformat(), "versions": versions},
            facts={
                "url": self._store.url,
                "tables": tables,
                "streams": facts,
                "tries": tries,
                "fetched": copier.fetched,
                "kept": copier.kept,
            },
            expected=expected,
            findings=_named(findings),
        )

    def _contents(self) -> "Contents | None":
        if not self._settings.content:
            return None
        from holdfast.systems.delta.capture.content import Contents

        return Contents(self._settings, self._store, self._writer, self._progress)

    # ------------------------------------------------------------ pinning

    def _pin(self) -> None:
        found = find(self._store, self._settings.tables)
        if not found:
            raise NothingFound(
                f"No Delta table lies below {self._store.url} for the plan's tables.", hint="Look at url and tables in the plan."
            )
        self._progress.phase("pin", len(found), "tables")
        self._pinned = {}
        for name in found:
            self._pinned[name] = pin(self._store, name)
            self._progress.advance(1)
        for name, one in self._pinned.items():
            known = self._base.get(name)
            if known is not None and known["id"] != one.snapshot.id:
                self._progress.note(f"{name or self._store.url} was dropped and made again: its id is another. It is captured whole.")
        for name in self._base.keys() - self._pinned.keys():
            self._progress.note(f"{name} is not there any more, and not in this point.")

    def _reusable(self, wanted: Wanted) -> bool:
        if wanted.path in self._suspect:
            return False
        if not wanted.path.startswith("tables/"):
            return True
        known = self._base.get(wanted.table)
        return known is not None and known["id"] == self._pinned[wanted.table].snapshot.id

    def _judge(self, copier: Copier, before: Mapping[str, int]) -> None:
        """What was lost under a version that is still the newest was not taken by a race: it is gone."""
        for wanted in copier.lost.gone:
            now = self._pinned.get(wanted.table)
            if wanted.address is not None or (now is not None and before.get(wanted.table) == now.snapshot.version):
                self._given_up.add(wanted.path)
        copier.lost.gone.clear()

    # ------------------------------------------------------------ copying

    def _copy(self, copier: Copier) -> bool:
        """Whether all that is needed of the pinned versions is in the point."""
        if self._settings.sharing is not None:
            data = (wanted for one in self._pinned.values() for wanted in one.data())
            share(self._settings.sharing, copier, self._watched(data), self._progress)
        steps = (Pinned.data, Pinned.vectors)
        for step in steps:
            copier.copy(self._watched(wanted for one in self._pinned.values() for wanted in step(one)))
            if self._needed(copier):
                return False
        copier.copy(wanted for name, one in self._pinned.items() for wanted in one.changes(self._log(name)))
        for name, one in self._pinned.items():
            copier.copy(self._watched(one.log(self._log(name))))
            if self._needed(copier):
                return False
        return True

    def _watched(self, files: Iterator[Wanted]) -> Iterator[Wanted]:
        for wanted in files:
            if wanted.path not in self._given_up:
                yield wanted

    def _needed(self, copier: Copier) -> bool:
        copier.lost.gone[:] = [one for one in copier.lost.gone if one.needed]
        return bool(copier.lost.gone)

    def _log(self, name: str) -> StoredLog:
        return StoredLog(self._store, self._pinned[name].folder)

    # ------------------------------------------------------------ streams, findings

    def _look_at_streams(self) -> list[streaming.Stream]:
        found = []
        for one in self._settings.streams:
            name, store, folder = stream_place(self._settings, self._store, one)
            stream = streaming.look(name, store, folder)
            if stream is not None:
                found.append(stream)
            else:
                self._progress.note(f"No query has written a checkpoint in {one} yet.")
        return found

    def _streams(self, copier: Copier, waiting: list[streaming.Stream]) -> tuple[dict[str, Any], list[Finding]]:
        facts: dict[str, Any] = {}
        findings: list[Finding] = []
        for stream in waiting:
            cut = streaming.cut(stream, self._pinned)
            findings += cut.findings
            inner = Copier(stream.store, opener(self._settings, stream.store), self._writer, self._progress, lambda _: True)
            inner.copy(cut.wanted)
            copier.fetched += inner.fetched
            copier.kept += inner.kept
            gone = [one for one in inner.lost.gone if one.path == f"streams/{stream.name}/offsets/{cut.offsets}"]
            if gone:
                findings.append(
                    Finding(
                        code="delta-stream-torn", message=f"{gone[0].key} was removed while it was copied.", where={"stream": stream.name}
                    )
                )
            facts[stream.name] = {
                "id": stream.id,
                "batch": cut.commits,
                "tables": list(cut.tables),
                "url": f"{stream.store.url}/{stream.prefix}",
            }
        return facts, findings

    def _findings(self, copier: Copier) -> list[Finding]:
        found = []
        for name, one in self._pinned.items():
            for why in one.snapshot.damaged:
                text = f"{name or self._store.url}: {why} An older checkpoint and the commits after it stood in; no row is lost."
                found.append(Finding(code="delta-checkpoint-damaged", message=text, where={"table": name}))
            found += vectors.broken(self._store, one, lambda wanted: not copier.in_base(wanted) and wanted.path not in self._given_up)
            for wanted in chain(one.data(), one.vectors()):
                cost = "an unknown number of rows" if wanted.rows is None else f"{wanted.rows} rows"
                if wanted.path in self._given_up:
                    text = f"{wanted.key or wanted.address} is gone; version {one.snapshot.version} of {name} needs it: {cost} are lost."
                    found.append(Finding(code="delta-file-lost", message=text, where={"table": name, "path": wanted.path}))
                elif wanted.path in copier.lost.broken:
                    text = f"{wanted.key or wanted.address} {copier.lost.broken[wanted.path][1]}: {cost} cannot be read."
                    found.append(Finding(code="delta-file-broken", message=text, where={"table": name, "path": wanted.path}))
        return found

    def _vanished(self, copier: Copier) -> Iterator[Finding]:
        """What was not read, for the last point holds it, and lies in its table no more."""
        if not copier.kept:
            return
        for name, one in self._pinned.items():
            for wanted in vanished(self._store, one, lambda wanted: wanted.path not in self._given_up):
                cost = "an unknown number of rows" if wanted.rows is None else f"{wanted.rows} rows"
                version = f"version:{name}@{one.snapshot.version}" if name else f"version:{one.snapshot.version}"
                text = (
                    f"{wanted.key} is gone from the table, which needs it: {cost} cannot be read there. The vault has it. Put it back: "
                    f"holdfast restore {self._name} --into {self._settings.url} --to {version} --rewind"
                )
                # By its key, not its path: what a finding names by its path is read anew by the next capture.
                yield Finding(code="delta-file-vanished", message=text, where={"table": name, "key": wanted.key})


def _named(findings: list[Finding]) -> list[Finding]:
    """All of them, or the first thousand and how many more there are."""
    more = len(findings) - _NAMED
    if more <= 0:
        return findings
    text = f"{more} more findings about files of tables are not named here."
    return [*findings[:_NAMED], Finding(code="delta-more-findings", message=text, where={"count": more})]


def opener(settings: DeltaSettings, store: Store) -> "Any":
    """Finds the store of an absolute path in a log: the lake's own where it lies below it."""
    known: dict[str, Store] = {}

    def find_store(address: str) -> tuple[Store, str]:
        from urllib.parse import unquote

        plain = unquote(address)
        if plain.startswith("file:"):
            plain = "/" + plain.removeprefix("file:").lstrip("/")
        if plain.startswith("/"):
            folder, _, name = plain.rpartition("/")
            if folder not in known:
                known[folder] = settings.open(folder)
            return known[folder], name
        scheme, _, rest = plain.partition("://")
        bucket, _, key = rest.partition("/")
        root = f"{'s3' if scheme in ('s3a', 's3n') else scheme}://{bucket}"
        below = f"{root}/{key}".removeprefix(f"{store.url.rstrip('/')}/")
        if below != f"{root}/{key}":
            return store, below
        if root not in known:
            known[root] = settings.open(root)
        return known[root], key

    return find_store


def stream_place(settings: DeltaSettings, store: Store, given: str) -> tuple[str, Store, str]:
    """(name in the point, store, prefix with its slash) of a streaming checkpoint's folder."""
    plain = given.rstrip("/")
    for root in dict.fromkeys((settings.url.rstrip("/"), store.url)):
        if plain.startswith(root + "/"):
            inner = plain[len(root) + 1 :]
            return inner, store, inner + "/"
    if "://" in plain or plain.startswith("/"):
        root, _, name = plain.rpartition("/")
        # Checkpoints of several tables often have one name: "_checkpoint".
        return f"_elsewhere/{name}-{hashlib.sha256(plain.encode()).hexdigest()[:12]}", settings.open(root), name + "/"
    return plain, store, plain + "/"


def _facts(one: Pinned) -> dict[str, Any]:
    state = one.snapshot
    return {
        "id": state.id,
        "version": state.version,
        "time": one.time.isoformat() if one.time else None,
        "files": len(state.files),
        "bytes": state.size,
        "rows": state.rows(),
        "vectors": sum(1 for _ in state.descriptors()),
        "first": one.first,
        "txn": {app: int(txn["version"]) for app, txn in state.txns.items()},
        "features": sorted(state.features),
        "absolute": any(True for wanted in (*one.data(), *one.vectors()) if wanted.address is not None),
    }
