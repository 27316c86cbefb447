"""Every test that was due in a period: run, failed, missed or excused. Pure: from the plan, the journals and the clock."""

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import Usage
from holdfast.evidence.verifier import PERIOD
from holdfast.journal import Record
from holdfast.plan.effective import EffectiveSystem
from holdfast.plan.shape.operations import Windows
from holdfast.plan.values.cron import Schedule


class PeriodNotUnderstood(Usage):
    """The text behind --period is none of the forms of a period."""

    code = "period-not-understood"


@dataclass(frozen=True, slots=True)
class Period:
    """From ``begin`` to before ``end`` (aware)."""

    name: str
    begin: dt.datetime
    end: dt.datetime


@dataclass(frozen=True, slots=True)
class Ran:
    """A test that ended. ``tests``: which of the plan's depths it was a proof of."""

    system: str | None
    tests: frozenset[str]
    run: str
    at: dt.datetime
    ok: bool
    why: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """``end`` None: it goes on."""

    system: str
    begin: dt.datetime
    end: dt.datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class DueTest:
    """``state``: passed, failed, missed, excused, open (there is time left)."""

    system: str
    test: str
    due: dt.datetime
    until: dt.datetime
    state: str
    run: str | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the journals say. ``since``: their first entry; before it nobody could have made a test."""

    ran: Sequence[Ran] = ()
    pauses: Sequence[Pause] = field(default=())
    since: dt.datetime | None = None


def period(text: str, zone: dt.tzinfo) -> Period:
    """``2026``, ``2026-Q4``, ``2026-11`` or ``2026-11-01/2026-11-15`` (the last day included). Raises PeriodNotUnderstood."""
    try:
        if match := re.fullmatch(r"(\d{4})(?:-Q([1-4])|-(\d{2}))?", text):
            year, first, months = int(match[1]), 1, 12
            if match[2]:
                first, months = 3 * int(match[2]) - 2, 3
            elif match[3]:
                first, months = int(match[3]), 1
            last = year * 12 + first - 1 + months
            return Period(text, dt.datetime(year, first, 1, tzinfo=zone), dt.datetime(last // 12, last % 12 + 1, 1, tzinfo=zone))
        begin, end = (dt.date.fromisoformat(part) for part in text.split("/"))
        after = end + dt.timedelta(days=1)
        if begin < after:
            return Period(text, _midnight(begin, zone), _midnight(after, zone))
    except ValueError:
        pass
    raise PeriodNotUnderstood(f"'{text}' is no period.", hint="Write 2026, 2026-Q4, 2026-11 or 2026-11-01/2026-11-15.")


def seen(chains: Iterable[Sequence[Record]]) -> Seen:
    """Tests and pauses in the journals of any number of hosts."""
    ran: list[Ran] = []
    pauses: list[Pause] = []
    begun: list[dt.datetime] = []
    for records in chains:
        open_: dict[str, Pause] = {}
        drilled: dict[str, Sequence[str]] = {}
        begun += [record.at for record in records[:1]]
        for record in records:
            said = record.payload
            if record.kind in {"verify.end", "vault-check.end", "spot-check.end"}:
                ran.append(_ran(record))
            elif record.kind in {"drill.start", "drill.begin"} and said.get("test_kind") != "tabletop":
                # At a table nothing came back.
                drilled[str(said.get("run"))] = [str(name) for name in said.get("systems") or ()]
            elif record.kind == "drill.end":
                ran += _drilled(record, drilled.get(str(said.get("run")), ()))
            elif record.kind == "pause.begin" and isinstance(said.get("system"), str):
                until = dt.datetime.fromisoformat(said["until"]) if said.get("until") else None
                open_[said["system"]] = Pause(said["system"], record.at, until, str(said.get("reason") or ""))
            elif record.kind == "pause.end":
                ended = [pause for name in said.get("systems") or [] if (pause := open_.pop(name, None))]
                pauses += [Pause(one.system, one.begin, min(record.at, one.end or record.at), one.reason) for one in ended]
        pauses += open_.values()
    return Seen(sorted(ran, key=lambda one: one.at), pauses, min(begun, default=None))


def _ran(record: Record) -> Ran:
    said = record.payload
    system = said.get("system") if isinstance(said.get("system"), str) else None
    done = said.get("outcome") == "ok"
    if record.kind == "vault-check.end":
        # A look into one location proves nothing of the others.
        ok, tests = done and bool(said.get("ok")), set() if said.get("only") else {"structure"}
    else:
        ok, tests = done and said.get("verdict") == "passed", {"spot_check" if record.kind == "spot-check.end" else "restore"}
    why = "" if ok else str(said.get("message") or said.get("verdict") or said.get("outcome"))
    return Ran(system, frozenset(tests), str(said.get("run")), record.at, ok, why)


def _drilled(record: Record, systems: Sequence[str]) -> Iterable[Ran]:
    """A drill is one test of each system that took part."""
    said = record.payload
    ok = said.get("outcome") == "ok" and said.get("verdict") == "passed"
    why = "" if ok else str(said.get("message") or said.get("verdict") or said.get("outcome"))
    return [Ran(system, frozenset({"drill"}), str(said.get("run")), record.at, ok, why) for system in systems]


def judged(
    systems: Sequence[EffectiveSystem], windows: Windows, zone: dt.tzinfo, known: Seen, span: Period, now: dt.datetime
) -> list[DueTest]:
    """Each moment of the plan's schedules in the period, and what became of it until the next one."""
    found: list[DueTest] = []
    for system in systems:
        asked: dict[str, Schedule | None] = {name: getattr(system.verify, name) for name in ("structure", "restore", "spot_check")}
        for name, schedule in {**asked, "drill": system.drill}.items():
            if schedule is not None and system.available:
                found += _of(system.name, name, schedule, windows, zone, known, span, now)
    return sorted(found, key=lambda one: (one.due, one.system, one.test))


def _of(
    system: str, name: str, schedule: Schedule, windows: Windows, zone: dt.tzinfo, known: Seen, span: Period, now: dt.datetime
) -> Iterable[DueTest]:
    due = schedule.next_after(span.begin - dt.timedelta(minutes=1), zone)
    while due < min(span.end, now):
        until = schedule.next_after(due, zone)
        yield _judge(DueTest(system, name, due, until, "missed"), windows, zone, known, now)
        due = until


def _judge(test: DueTest, windows: Windows, zone: dt.tzinfo, known: Seen, now: dt.datetime) -> DueTest:
    ran = [one for one in known.ran if one.system in (test.system, None) and test.test in one.tests and test.due <= one.at < test.until]
    good = next((one for one in ran if one.ok), None)
    if good is not None:
        failed = sum(1 for one in ran if not one.ok and one.at < good.at)
        why = f"after {failed} that failed" if failed else ""
        return DueTest(test.system, test.test, test.due, test.until, "passed", good.run, why)
    if ran:
        return DueTest(test.system, test.test, test.due, test.until, "failed", ran[-1].run, ran[-1].why)
    excuse = _excuse(test, windows, zone, known)
    if excuse:
        return DueTest(test.system, test.test, test.due, test.until, "excused", None, excuse)
    return DueTest(test.system, test.test, test.due, test.until, "open" if test.until > now else "missed")


def _excuse(test: DueTest, windows: Windows, zone: dt.tzinfo, known: Seen) -> str:
    """What lasted the whole time in which it could have been made: a pause, a freeze, or that nothing was there yet."""
    if known.since is not None and test.until <= known.since:
        return f"before the first entry of any journal ({known.since.isoformat(timespec='seconds')})"
    for pause in known.pauses:
        if pause.system == test.system and pause.begin <= test.due and (pause.end is None or pause.end >= test.until):
            return f"paused: {pause.reason}"
    local, last = test.due.astimezone(zone), test.until.astimezone(zone) - dt.timedelta(seconds=1)
    for freeze in windows.freeze:
        if freeze.holds(local) and freeze.holds(last):
            return f"frozen {freeze}"
    return ""


def document(
    platform: str, plan: str, span: Period, found: Sequence[DueTest], reports: Mapping[str, int], promises: Sequence[Any], now: dt.datetime
) -> dict[str, Any]:
    """JSON-ready. ``reports``: number of the report of a run. ``promises``: see ``protection.confidence``."""
    states = [one.state for one in found]
    return {
        "format": PERIOD,
        "platform": platform,
        "plan": plan,
        "at": now.isoformat(),
        "period": {"name": span.name, "from": span.begin.isoformat(), "to": span.end.isoformat()},
        "counts": {"due": len(found), **{state: states.count(state) for state in ("passed", "failed", "missed", "excused", "open")}},
        "tests": [
            {
                "system": one.system,
                "test": one.test,
                "due": one.due.isoformat(),
                "until": one.until.isoformat(),
                "state": one.state,
                "run": one.run,
                "report": reports.get(one.run) if one.run else None,
                "why": one.why,
            }
            for one in found
        ],
        "promises": list(promises),
        "doubts": [],
    }


def _midnight(day: dt.date, zone: dt.tzinfo) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, tzinfo=zone)
