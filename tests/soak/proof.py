"""Restores to random targets on every timeline, and the judgement of what came back."""

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any

from holdfast.assembly import Platform
from holdfast.demo.ledger import Acknowledged, Comparison, compare
from holdfast.model import Silent
from holdfast.systems.postgres import lsn
from tests.soak.scene import SYSTEM, Life, Scene
from tests.soak.tally import TARGETS

# The last acknowledgements of a history have no later commit to stop before, or only part of one in the vault.
MARGIN = 20


@dataclasses.dataclass(frozen=True)
class Aim:
    """A target with what it promises: ``sure`` says of a commit in this history that it must be there, ``cannot`` that it must not.

    Both are given the acknowledgement and the position that recovery says it reached.
    """

    kind: str
    words: str
    until: Mapping[str, Any]
    sure: Callable[[Acknowledged, int], bool]
    cannot: Callable[[Acknowledged, int], bool]


def restore_somewhere(stage: Scene, timeline: int | None = None) -> None:
    """Open a copy at a random target of a random kind, on a random timeline or the given one, and compare everything with the ledger."""
    life = stage.life(timeline) if timeline else stage.aims.choice(stage.lives)
    prove(stage, life, stage.aims.choice(TARGETS))


def restore_everywhere(stage: Scene) -> None:
    """Every kind of target on the newest timeline, and one on every other."""
    for life in stage.lives:
        for kind in TARGETS if life is stage.lives[-1] else (stage.aims.choice(TARGETS),):
            prove(stage, life, kind)


def prove(stage: Scene, life: Life, kind: str, *, followed: bool = True) -> None:
    """``followed`` False: nobody ships any more what an idle server writes of itself now and then, so nobody waits for it."""
    if followed and life is stage.lives[-1]:
        stage.wait_durable(stage.position())
    with stage.platform() as platform:
        aim = choose(stage, life, kind, *reachable(stage, platform, life))
        found, reached = look(stage, platform, aim.until, {"timeline": str(life.timeline)})
    # Asked after the restore: what was acknowledged meanwhile cannot be there either.
    there, absent = must(stage, life, aim, reached)
    stage.journal.append(
        f"restored {life.timeline}/{aim.words} (reached {lsn.show(reached)}): {len(found.ledger)} there, {len(there)} sure"
    )
    judge(stage, found, there, absent)
    stage.tally.restored(life.timeline, kind, rows(found))


def reachable(stage: Scene, platform: Platform, life: Life) -> tuple[int, int]:
    """(first, last) position of a timeline that can be returned to: behind a point's end, within what the vault covers without a hole."""
    logs = platform.logs(SYSTEM)
    branch = next(one for one in logs.branches() if int(one.split("-")[1]) == life.timeline)
    covered = logs.reader(branch).coverage()
    shown = ", ".join(f"{lsn.show(low)} to {lsn.show(high)}" for low, high in covered)
    assert len(covered) == 1, f"the log of timeline {life.timeline} has holes: {shown}; {stage.words()}"
    high = covered[-1][1] - 8
    ends = []
    for point in platform.history(SYSTEM).points():
        stop, at = lsn.parse(point.stop["lsn"]), int(point.stop["timeline"])
        if at == life.timeline or stop <= life.left.get(at, -1):
            ends.append(stop)
    begin = max(min(ends), max(life.left.values(), default=0))
    assert begin < high, f"nothing to return to on timeline {life.timeline}: {begin:#x} to {high:#x}; {stage.words()}"
    return begin + 1, high


def choose(stage: Scene, life: Life, kind: str, low: int, high: int) -> Aim:
    """A random target of the kind between two positions of a timeline."""
    if kind == "latest":
        return Aim(kind, kind, {"kind": kind}, lambda ack, _: _end(ack) <= high, lambda ack, reached: ack.before >= max(high, reached))
    if kind == "lsn":
        position = stage.aims.randint(low, high)
        until: dict[str, Any] = {"kind": "lsn", "lsn": lsn.show(position), "inclusive": True}
        # Recovery ends behind the record that holds the target: what was not begun by then cannot be there.
        return Aim(
            kind, lsn.show(position), until, lambda ack, _: _end(ack) <= position, lambda ack, reached: ack.before >= max(position, reached)
        )
    known = sorted((a for a in stage.acknowledged() if a.era == life.era and low <= a.before and _end(a) <= high), key=_end)[:-MARGIN]
    assert known, f"no commit to return to on timeline {life.timeline} between {low:#x} and {high:#x}; {stage.words()}"
    one = stage.aims.choice(known)
    if kind == "xid":
        until = {"kind": "xid", "xid": one.xid & 0xFFFFFFFF, "inclusive": True}
        return Aim(
            kind,
            f"xid {one.xid}",
            until,
            lambda ack, _: ack == one or _end(ack) <= one.before,
            lambda ack, _: ack != one and ack.before >= _end(one),
        )
    moment: dt.datetime = one.acked
    # Its commit's own stamp lies between the two moments that the client saw.
    until = {"kind": "time", "time": moment.isoformat(), "inclusive": True}
    return Aim(kind, moment.isoformat(), until, lambda ack, _: ack.acked <= moment, lambda ack, _: ack.began > moment)


def _end(ack: Acknowledged) -> float:
    """The position behind a commit; unknown is beyond all."""
    return float("inf") if ack.after is None else ack.after


def must(stage: Scene, life: Life, aim: Aim, reached: int) -> tuple[dict[int, int], set[tuple[int, int]]]:
    """(number → era that must be there, (number, era) that cannot be) at a target of one timeline."""
    there: dict[int, int] = {}
    absent: set[tuple[int, int]] = set()
    for ack in stage.acknowledged():
        own = stage.lives[ack.era].timeline
        end = float("inf") if own == life.timeline else life.left.get(own)
        if end is None or ack.before >= end or aim.cannot(ack, reached):
            absent.add((ack.number, ack.era))
        elif (own == life.timeline or _end(ack) <= end) and aim.sure(ack, reached):
            there[ack.number] = ack.era
    return there, absent


def look(stage: Scene, platform: Platform, until: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[Comparison, int]:
    """(the comparison of a throw-away copy, the position that it reached)."""
    import psycopg

    with (
        platform.recovery(SYSTEM).isolate(platform.history(SYSTEM), until, {**options, "target_action": "pause"}, Silent()) as view,
        contextlib.closing(psycopg.connect(view.connection, autocommit=True)) as connection,
    ):
        return compare(connection, stage.seed, stage.load.writers), lsn.parse(str(view.reached["lsn"]))


def judge(stage: Scene, found: Comparison, there: Mapping[int, int], absent: set[tuple[int, int]]) -> None:
    assert found.ok, f"{found.first_wrong()}; {stage.words()}"
    missing = {number: era for number, era in there.items() if found.ledger.get(number) != era}
    assert not missing, f"{len(missing)} acknowledged transactions are missing: {sorted(missing)[:5]}; {stage.words()}"
    early = absent & set(found.ledger.items())
    assert not early, f"{len(early)} transactions are there that cannot be: {sorted(early)[:5]}; {stage.words()}"


def rows(found: Comparison) -> int:
    return sum(table.actual for table in found.tables)
