"""The promise, the actual exposure now, and the last proof of each system. An unknown state is a failure."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.model import counted
from holdfast.plan.effective import EffectiveSystem
from holdfast.plan.shape.operations import Windows
from holdfast.plan.values.units import format_duration, human_size
from holdfast.protection.confidence import Kept, kept
from holdfast.protection.due import TIERS, Due, due_for, next_backup
from holdfast.protection.exposure import Exposure, exposures
from holdfast.protection.history import Past
from holdfast.state import Proof

WORST = ("ok", "missed", "unknown")
_LOG_BEHIND = 60.0
"""Seconds: a follower brings what is younger by itself."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a state is not ok (or, with state ok, what is worth knowing), and what to do. ``about``: proof, where the last one failed.
    ``since``: from when on it was so, where that is known.
    """

    state: str
    text: str
    hint: str = ""
    about: str = ""
    since: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class SystemStatus:
    """One system. ``state`` is the worst of its reasons."""

    system: EffectiveSystem
    state: str
    reasons: tuple[Reason, ...]
    exposures: tuple[Exposure, ...]
    last_backup: dt.datetime | None
    points: int
    next_backup: dt.datetime | None
    proofs: Mapping[str, Proof]
    due: tuple[Due, ...]
    past: Past
    now: dt.datetime

    @property
    def rto_holds(self) -> Kept | None:
        """How sure it is that one is back in time; None where nothing was promised or measured."""
        rto = self.system.rto
        return kept(self.past.returns, rto.total_seconds()) if rto is not None and self.past.returns else None

    @property
    def rpo_holds(self) -> Kept | None:
        """How sure it is that no more is lost than promised, by the tightest promise; None where nothing was promised or measured."""
        rpo = self.system.tightest_rpo
        return kept(self.past.losses, rpo.total_seconds()) if rpo is not None and self.past.losses else None

    def document(self) -> dict[str, Any]:
        """JSON-ready; durations in seconds."""
        restore = self.past.restore
        return {
            "system": self.system.name,
            "kind": self.system.kind,
            "tier": self.system.tier,
            "state": self.state,
            "reasons": [{"state": reason.state, "text": reason.text, "hint": reason.hint or None} for reason in self.reasons],
            "exposure": [exposure.document() for exposure in self.exposures],
            "rto": {
                "promised_seconds": None if self.system.rto is None else self.system.rto.total_seconds(),
                "measured_seconds": restore.seconds if restore else None,
                "worst_seconds": restore.worst if restore else None,
                "samples": restore.samples if restore else 0,
                "holds": None if self.rto_holds is None else self.rto_holds.to_json(),
            },
            "rpo": {"holds": None if self.rpo_holds is None else self.rpo_holds.to_json()},
            "last_backup": _iso(self.last_backup),
            "next_backup": _iso(self.next_backup),
            "points": self.points,
            "proofs": {
                tier: {
                    "at": proof.at.isoformat(),
                    "age_seconds": (self.now - proof.at).total_seconds(),
                    "ok": proof.ok,
                    "point": proof.point,
                }
                for tier, proof in self.proofs.items()
            },
            "due": [item.document() for item in self.due],
            "paused": None
            if self.past.pause is None
            else {"since": _iso(self.past.pause.since), "until": _iso(self.past.pause.until), "reason": self.past.pause.reason},
            "running": {verb: since.isoformat() for verb, since in self.past.running.items()},
        }


@dataclass(frozen=True, slots=True)
class PlatformStatus:
    """All systems asked for."""

    platform: str
    at: dt.datetime
    systems: tuple[SystemStatus, ...]

    @property
    def state(self) -> str:
        """The worst of all; unknown when there is no system at all."""
        return max((system.state for system in self.systems), key=WORST.index, default="unknown")

    def document(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "platform": self.platform,
            "at": self.at.isoformat(),
            "state": self.state,
            "systems": [system.document() for system in self.systems],
        }


def status(
    platform: str, systems: Sequence[EffectiveSystem], windows: Windows, zone: dt.tzinfo, past: Mapping[str, Past], *, now: dt.datetime
) -> PlatformStatus:
    """Pure: from the plan and the past. A system without an entry in ``past`` is unknown."""
    return PlatformStatus(platform, now, tuple(system_status(system, windows, zone, past.get(system.name), now) for system in systems))


def system_status(system: EffectiveSystem, windows: Windows, zone: dt.tzinfo, past: Past | None, now: dt.datetime) -> SystemStatus:
    """The same for one system."""
    known = past or Past()
    reasons: list[Reason] = []
    if not system.available:
        reasons.append(Reason("unknown", f"kind {system.kind} is not there yet: nothing is protected"))
        return SystemStatus(system, "unknown", tuple(reasons), (), None, 0, None, {}, (), known, now)
    if past is None:
        reasons.append(Reason("unknown", "nothing is known of its past"))
    found = exposures(system, known, now)
    reasons += [_exposed(system, exposure, known) for exposure in found if exposure.state != "ok"]
    items = tuple(due_for(system, windows, zone, known, now))
    reasons += _never(system, known, found)
    reasons += _late(system, items, now)
    proofs = {tier: _newest(known, tier) for tier in TIERS}
    reasons += _proved(system, proofs, items, now)
    reasons += _back_in_time(system, known)
    reasons += _sound(known)
    reasons += _copies(system, known)
    reasons += [
        Reason(
            "missed",
            f"the finding {one.finding} of {one.owner} is overdue since {one.due.isoformat()}: {one.text}",
            f"holdfast drill retest {one.finding}",
        )
        for one in known.overdue
    ]
    if known.pause is not None:
        until = f" until {known.pause.until.isoformat(timespec='seconds')}" if known.pause.until else ""
        reasons.append(Reason("ok", f"paused{until}: {known.pause.reason}", f"holdfast pause {system.name} --resume"))
    reasons += [Reason("ok", f"{item.verb} is due: {item.blocked}") for item in items if item.blocked and known.pause is None]
    return SystemStatus(
        system,
        max((reason.state for reason in reasons), key=WORST.index, default="ok"),
        tuple(sorted(reasons, key=lambda reason: -WORST.index(reason.state))),
        tuple(found),
        max((point.committed_at for point in known.points), default=None),
        len(known.points),
        next_backup(system, zone, now),
        {tier: proof for tier, proof in {**proofs, "drill": _newest(known, "drill")}.items() if proof is not None},
        items,
        known,
        now,
    )


def _newest(past: Past, tier: str) -> Proof | None:
    return max((proof for proof in past.proofs if proof.tier == tier), key=lambda proof: proof.at, default=None)


def _exposed(system: EffectiveSystem, exposure: Exposure, past: Past) -> Reason:
    hint = f"holdfast follow {system.name}" if system.continuous and exposure.as_of is not None else f"holdfast backup {system.name}"
    if exposure.location in past.unreachable:
        hint = "holdfast check"
    since = exposure.as_of + exposure.promised if exposure.as_of is not None and exposure.promised is not None else None
    return Reason(exposure.state, exposure.why, hint, since=since)


def _never(system: EffectiveSystem, past: Past, found: Sequence[Exposure]) -> list[Reason]:
    """A schedule is a promise as well: with nothing to return to it is missed, though no objective says how much may be lost."""
    if (
        system.backup is None
        or past.unreachable
        or any(point.usable for point in past.points)
        or any(exposure.state != "ok" for exposure in found)
    ):
        return []
    return [Reason("missed", "there is no recovery point to return to", f"holdfast backup {system.name}")]


def _late(system: EffectiveSystem, items: Sequence[Due], now: dt.datetime) -> list[Reason]:
    """A backup a whole interval late is a missed promise even where a log covers the data: replay grows, and with it the way back."""
    gap = system.backup.longest_gap if system.backup else dt.timedelta.max
    return [
        Reason(
            "missed",
            f"the backup due since {item.since.isoformat(timespec='seconds')} was not made",
            f"holdfast backup {system.name}",
            since=item.since + gap,
        )
        for item in items
        if item.verb == "backup" and item.since is not None and now - item.since > gap
    ]


def _proved(system: EffectiveSystem, proofs: Mapping[str, Proof | None], items: Sequence[Due], now: dt.datetime) -> list[Reason]:
    found = []
    for tier, proof in proofs.items():
        schedule = getattr(system.verify, tier)
        hint = "holdfast vault check" if tier == "structure" else f"holdfast verify {system.name}{' --spot-check' * (tier == 'spot_check')}"
        if proof is not None and not proof.ok:
            found.append(
                Reason(
                    "missed",
                    f"the last proof ({tier}, {proof.at.isoformat(timespec='seconds')}) failed",
                    f"holdfast log, then {hint}",
                    "proof",
                    proof.at,
                )
            )
        elif schedule is not None and proof is None:
            found.append(Reason("unknown", f"never proved: {tier}", hint))
        elif schedule is not None and any(
            item.verb == "verify" and item.tier == tier and item.since is not None and now - item.since > schedule.longest_gap
            for item in items
        ):
            assert proof is not None
            found.append(Reason("missed", f"the last proof ({tier}) is {format_duration(_whole(now - proof.at))} old", hint))
    return found


def _back_in_time(system: EffectiveSystem, past: Past) -> list[Reason]:
    if system.rto is None:
        return []
    if past.restore is None:
        return [
            Reason(
                "unknown",
                f"RTO {format_duration(system.rto)} was promised, and no restore was ever measured",
                f"holdfast verify {system.name}",
            )
        ]
    if past.restore.seconds > system.rto.total_seconds():
        measured = format_duration(_whole(dt.timedelta(seconds=past.restore.seconds)))
        text = f"a restore takes {measured} (median of {past.restore.samples}), promised {format_duration(system.rto)}"
        return [Reason("missed", text, "holdfast plan assess")]
    return []


def _sound(past: Past) -> list[Reason]:
    """What was seen wrong in the source while the newest point was made."""
    newest = max(past.points, key=lambda point: point.committed_at, default=None)
    if newest is None or not newest.findings:
        return []
    more = f" (and {len(newest.findings) - 1} more)" if len(newest.findings) > 1 else ""
    return [Reason("missed", f"the newest point found the source damaged: {newest.findings[0]}{more}", f"holdfast show {newest.id[:12]}")]


def _copies(system: EffectiveSystem, past: Past) -> list[Reason]:
    """The newest point in fewer locations than demanded does not count; and which locations are behind."""
    found = []
    newest = max(past.points, key=lambda point: point.committed_at, default=None)
    if newest is not None and len(newest.locations) < system.min_copies:
        where = ", ".join(sorted(newest.locations)) or "no location"
        text = f"the newest recovery point is in {len(newest.locations)} of {system.min_copies} locations that the plan demands ({where})"
        # Where one could not be asked the point may lie in it.
        found.append(Reason("unknown" if past.unreachable else "missed", text, "holdfast vault copy"))
    for place, one in past.behind.items():
        if one.points:
            lacks = f"{counted(one.points, 'recovery point')} ({counted(one.packs, 'pack')}, {human_size(one.bytes)})"
            found.append(Reason("ok", f"{place} is behind: it lacks {lacks}", "holdfast vault copy"))
        if one.log_seconds is not None and one.log_seconds > _LOG_BEHIND:
            span = format_duration(_whole(dt.timedelta(seconds=one.log_seconds)))
            found.append(Reason("ok", f"the log in {place} is {span} behind ({human_size(one.log_bytes)})", "holdfast vault copy"))
    return found


def _whole(value: dt.timedelta) -> dt.timedelta:
    return dt.timedelta(seconds=round(value.total_seconds()))


def _iso(moment: dt.datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()
