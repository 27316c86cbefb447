"""A person restores something small by hand, now and then: asked for, proved by a hash that only who did it can know, and recorded.

What is to be got back, out of which point, is drawn at random with a nonce that goes into the hash: neither an earlier answer nor what
somebody keeps of the source serves. Of a file a person needs its bytes; of a table its rows, by a server that runs.
"""

import datetime as dt
import hmac
import random
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holdfast.errors import FoundWrong, Usage

if TYPE_CHECKING:
    from holdfast.assembly.platform import Platform

ASKED = "spot-check.asked"
_RECENT = 10
"""Of so many of the newest points one is drawn."""


class SpotCheckUnknown(Usage):
    """No spot check of that id was asked for on this host, or it was answered already."""

    code = "spot-check-unknown"


class SpotCheckUsage(Usage):
    """Words of a spot check that do not go together."""

    code = "spot-check-usage"


class NoPointYet(FoundWrong):
    """There is no recovery point to get anything out of."""

    code = "spot-check-no-point"


@dataclass(frozen=True, slots=True)
class Asked:
    """``item``: what to get back; ``steps``: what to type, in order, with the page that tells more."""

    id: str
    system: str
    point: str
    item: str
    size: int
    nonce: str
    guide: str
    steps: tuple[str, ...]
    how: dict[str, Any]
    at: dt.datetime

    def to_json(self) -> dict[str, Any]:
        """``{"id", "system", "point", "item", "size", "nonce", "guide", "steps", "asked_at"}``."""
        return {
            "id": self.id,
            "system": self.system,
            "point": self.point,
            "item": self.item,
            "size": self.size,
            "nonce": self.nonce,
            "guide": self.guide,
            "steps": list(self.steps),
            "asked_at": self.at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Answered:
    """``ok``: the hash given is that of what the vault holds. What it should have been is told to nobody."""

    id: str
    system: str
    ok: bool
    given: str
    by: str

    def to_json(self) -> dict[str, Any]:
        """``{"id", "system", "ok", "given", "by"}``."""
        return {"id": self.id, "system": self.system, "ok": self.ok, "given": self.given, "by": self.by}


def ask(platform: "Platform", system: str) -> Asked:
    """The one that is open, as long as its point is there; else a new one, journaled. Raises NoPointYet, NothingSmall."""
    history = platform.history(system)
    points = [point for point in history.points() if not point.facts.get("incomplete")]
    open_ = next((one for one in reversed(_open(platform)) if one.system == system), None)
    if open_ is not None and any(point.id == open_.point for point in points):
        return open_
    if not points:
        raise NoPointYet(f"There is no recovery point of {system}.", hint=f"holdfast backup {system}")
    nonce = secrets.token_hex(16)
    draw = random.Random(nonce)  # noqa: S311 - the nonce is what cannot be foreseen
    point = draw.choice(sorted(points, key=lambda one: one.committed_at)[-_RECENT:]).id
    spot = platform.recovery(system).spot(history, point, draw, nonce)
    steps = (*spot.restore, *spot.prove)
    asked = Asked(secrets.token_hex(4), system, point, spot.name, spot.size, nonce, spot.guide, steps, dict(spot.how), platform.clock.now())
    platform.journal.record(ASKED, system=system, id=asked.id, point=point, item=spot.name, size=spot.size, nonce=nonce, guide=spot.guide,
                            steps=list(steps), how=asked.how)  # fmt: skip
    return asked


def record(platform: "Platform", id_: str, result: str, *, by: str, note: str = "") -> Answered:
    """Hold the hash against what the vault has, and keep the outcome: in the journal, in the proofs, as evidence.

    Raises SpotCheckUnknown, SpotCheckUsage, and what reading the vault raises.
    """
    from holdfast.protection.recorded import recorded

    asked = next((one for one in _open(platform) if one.id == id_), None)
    if asked is None:
        raise SpotCheckUnknown(f"No spot check {id_!r} is open on this host.", hint="holdfast verify SYSTEM --spot-check")
    words = result.split()
    given = words[0].lower() if words else ""
    if not re.fullmatch("[0-9a-f]{64}", given):
        raise SpotCheckUsage("The result is no SHA-256 in hex (64 digits).", hint="As the last step of the spot check prints it.")
    facts = {"id": id_, "point": asked.point, "item": asked.item, "by": by, "note": note, "asked_at": asked.at.isoformat()}
    with recorded(platform.state, platform.journal, platform.clock, "spot-check", asked.system, **facts) as work:
        held = platform.recovery(asked.system).spot_hash(platform.history(asked.system), asked.point, asked.how, asked.nonce)
        ok = hmac.compare_digest(held, given)
        detail = "" if ok else "the hash is not that of what the vault holds"
        kind = {"name": f"{asked.item} restored by hand", "kind": "spot_check", "state": "passed" if ok else "failed"}
        results = [{**kind, "expected": None, "actual": given, "detail": detail, "seconds": 0.0}]
        work.add(verdict="passed" if ok else "failed", ok=ok, point=asked.point, by=by, given=given, results=results)
    platform.state.proofs.add(asked.system, "spot_check", ok=ok, point=asked.point, by=by, id=id_)
    return Answered(id_, asked.system, ok, given, by)


def _open(platform: "Platform") -> list[Asked]:
    """Asked for and not yet answered rightly, oldest first. A new one of a system replaces the one before."""
    asked: dict[str, Asked] = {}
    begun: dict[str, str] = {}
    for one in platform.journal.mentioning("spot-check."):
        said = one.payload
        if one.kind == ASKED:
            asked = {key: value for key, value in asked.items() if value.system != said["system"]}
            asked[str(said["id"])] = Asked(
                str(said["id"]), str(said["system"]), str(said["point"]), str(said["item"]), int(said["size"]), str(said["nonce"]),
                str(said["guide"]), tuple(map(str, said["steps"])), dict(said["how"]), one.at,
            )  # fmt: skip
        elif one.kind == "spot-check.start":
            begun[str(said.get("run"))] = str(said.get("id"))
        elif one.kind == "spot-check.end" and said.get("ok"):
            asked.pop(begun.get(str(said.get("run")), ""), None)
    return list(asked.values())
