"""Opens one moment of a cluster's history after another: from a copy of an earlier one, moved forward, where that is nearer than a base."""

import contextlib
import dataclasses
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.model import Progress
from holdfast.systems.contract import History, Isolated, Moment, Moments, RestoreRequest
from holdfast.systems.postgres import lsn as positions
from holdfast.systems.postgres.restore import config
from holdfast.systems.postgres.restore.files import write_file
from holdfast.systems.postgres.restore.planning import plan as planning
from holdfast.systems.postgres.restore.planning.history import Holdings
from holdfast.systems.postgres.restore.planning.plan import Detail
from holdfast.systems.postgres.restore.planning.reach import choose
from holdfast.systems.postgres.restore.planning.target import Target
from holdfast.systems.postgres.restore.recover import Recovery, locked, recover
from holdfast.systems.postgres.restore.run import write
from holdfast.systems.postgres.restore.wal import place, place_histories
from holdfast.systems.postgres.running.binaries import Account, Binaries
from holdfast.systems.postgres.view import PostgresView
from holdfast.systems.postgres.wal.coverage import LogIndex, Mark

MOST = 4096
REPLAYED_AGAIN = 256 << 20
"""Bytes of WAL that are rather replayed twice than a copy stopped cleanly, which takes about a second."""


def moments(holdings: Holdings, now: Any, after: int | None, before: int | None, timeline: str | None) -> Moments:
    """Commits on the history that ``latest`` follows (or ``timeline``), from the oldest base that reaches it."""
    newest = choose(holdings, Target("latest"), now, timeline)
    path = newest.path
    reachable = [base for base in holdings.bases if path.passes(base.branch, base.stop) and holdings.cover(base, path).end >= newest.end]
    low = min(base.stop for base in reachable)
    high = newest.end
    if after is not None:
        low = max(low, after + 1)
    if before is not None:
        high = min(high, before)
    found: list[Mark] = []
    step, seen, last = 1, 0, None
    for piece in path.pieces:
        log = holdings.logs.get(piece.branch)
        start, end = max(low, piece.start), min(high, piece.end if piece.end is not None else high)
        if log is None or start >= end:
            continue
        assert isinstance(log.landmarks, LogIndex)
        for mark in log.landmarks.commits(start, end):
            if seen % step == 0:
                found.append(mark)
            seen, last = seen + 1, mark
            if len(found) >= 2 * MOST:
                found, step = found[::2], step * 2
    if last is not None and found[-1] != last:
        found.append(last)
    return Moments(tuple(_moment(mark) for mark in found), step == 1)


def _moment(mark: Mark) -> Moment:
    until = Target("lsn", lsn=mark.lsn).to_json()
    time = mark.time.isoformat() if mark.time else None
    return Moment(mark.lsn, until, {"lsn": positions.show(mark.lsn), "time": time, "xid": mark.xid})


@dataclass
class _Copy:
    """A stopped directory that stands at ``position``."""

    data: Path
    position: int
    detail: Detail


class PostgresWalker:
    """Satisfies ``systems.contract.Walker``. Lives in one sandbox folder; at most two copies lie there at a time."""

    def __init__(
        self,
        box: Path,
        name: str,
        history: History,
        holdings: Holdings,
        who: Account,
        binaries: Binaries,
        clock: Any,
        progress: Progress,
        now: Any,
        options: Mapping[str, Any],
    ) -> None:
        self._box, self._name, self._history, self._holdings = box, name, history, holdings
        self._who, self._binaries, self._clock, self._progress, self._now = who, binaries, clock, progress, now
        self._options = options
        self._points = history.points()
        self._kept: _Copy | None = None
        self._probe: _Copy | None = None
        self._count = 0
        self.opened = 0

    @contextlib.contextmanager
    def at(self, moment: Moment) -> Iterator[Isolated]:
        self._drop(self._probe)
        self._count += 1
        data = self._box / f"data{self._count}"
        plan = self._plan(moment, data)
        detail: Detail = plan.detail
        kept = self._kept
        if (
            kept is not None
            and kept.position <= moment.position
            and kept.position >= detail.reach.base.stop
            and kept.detail.reach.base == detail.reach.base
        ):
            self._forward(kept, data, detail)
        else:
            write(plan, self._history, self._progress, clock=self._clock, who=self._who)
        self._probe = _Copy(data, moment.position, detail)
        outcome = recover(
            Recovery(data, self._binaries, self._who, detail.reach, detail.target, detail.options, self._clock, self._progress)
        )
        self.opened += 1
        if locked(outcome.instance):
            # Transactions under way then hold their locks for ever on a paused copy. Promoted it can be read, but not moved forward.
            outcome.instance.query("select pg_catalog.pg_promote(true, 60)")
            self._probe.position = -1
        try:
            yield PostgresView(outcome.instance.dsn(), {**outcome.reached, **moment.shown})
        finally:
            # At once: a later start replays from the last restart point, and a copy that is dropped needs nothing.
            outcome.instance.stop(fast=moment.position - detail.reach.base.start > REPLAYED_AGAIN)

    def keep(self, moment: Moment) -> None:
        if self._probe is not None and self._probe.position == moment.position:
            self._drop(self._kept)
            self._kept, self._probe = self._probe, None

    def _drop(self, copy: _Copy | None) -> None:
        if copy is not None:
            shutil.rmtree(copy.data, ignore_errors=True)
            shutil.rmtree(copy.data.with_name(copy.data.name + ".spaces"), ignore_errors=True)

    def _plan(self, moment: Moment, data: Path) -> Any:
        spaces = data.with_name(data.name + ".spaces")
        options = {
            "start": True,
            "durable": False,
            "port": 0,
            "target_action": "pause",
            "tablespace_map": {"*": str(spaces)},
            **self._options,
        }
        request = RestoreRequest(data, moment.until, options)
        return planning.make(self._name, self._history, self._holdings, request, now=self._now, who=self._who, system_points=self._points)

    def _forward(self, kept: _Copy, data: Path, detail: Detail) -> None:
        """A copy of the kept directory, with what WAL it lacks and a new target."""
        # Reflinks where the file system has them; cp also keeps owners and links.
        subprocess.run(["cp", "-a", "--reflink=auto", str(kept.data), str(data)], check=True, capture_output=True)
        for one, before in zip(detail.tablespaces, kept.detail.tablespaces, strict=True):
            one.into.parent.mkdir(parents=True, exist_ok=True)
            self._who.own(one.into.parent)
            subprocess.run(["cp", "-a", "--reflink=auto", str(before.into), str(one.into)], check=True, capture_output=True)
            link = data / "pg_tblspc" / str(one.oid)
            link.unlink()
            link.symlink_to(one.into)
        self._progress.phase("WAL")
        start = min(kept.detail.reach.end, kept.position)
        place(detail.reach, self._history.logs(), data / "pg_wal", detail.segment_size, self._who, self._progress, start)
        place_histories(detail.reach, detail.holdings, data / "pg_wal", self._who)
        values = config.recovery(detail.reach, detail.target, dataclasses.replace(detail.options.role, action="pause"))
        text = "".join(f"{name} = {config.quote(value)}\n" for name, value in values.items())
        write_file(data / "postgresql.auto.conf", text, self._who, sync=False)
        conf = (data / "postgresql.conf").read_text()
        write_file(data / "postgresql.conf", conf.replace(str(kept.data), str(data)), self._who, sync=False)
