"""Names of objects in a vault, and the ids in them."""

import datetime as dt
import re

import blake3

CONFIG = "config"
SLOTS = "keys/slots/"
WRITERS = "keys/writers/"
EPOCHS = "keys/epochs/"
RINGS = "keys/ring/"
SCOPED = "keys/scopes/"
"""Slots of scopes."""
SHREDS = "keys/shreds/"
"""Never locked: one goes, and with it every slot of its scope."""
REVOKED = "keys/revoked/"
PACKS = "packs/"
INDEX = "index/"
SESSIONS = "sessions/"
POINTS = "points/"
LOGS = "logs/"
CONDEMNED = "condemned/"
DAMAGED = "damaged/"
"""Records that a pack is damaged in every location."""
HOLDS = "holds/"
JOURNAL = "journal/"
PLAN = "plan/"
HOSTS = "hosts/"
"""Keys that hosts sign with, certified by a writer."""
ANCHORS = "anchors/"
"""Signed heads of the journals."""
EVIDENCE = "evidence/"
"""Signed documents of what was proved."""
DROPPED = ".dropped"
"""Behind a point's name: that point is going, whether or not its object is still there."""
COMING = ".coming"
"""Behind a point's name: its own bytes, staged by a copy that is bringing what the point needs into this location."""

_POINT = re.compile(r"points/([0-9a-f]{32})(\.dropped)?\Z")
_COMING = re.compile(r"points/([0-9a-f]{32})\.coming\Z")
_PACK = re.compile(r"packs/([0-9a-f]{2})/([0-9a-f]{32})-([0-9a-f]{64})\Z")


def slot(slot_id: str, scope: str = "vault") -> str:
    return f"{SLOTS}{slot_id}" if scope == "vault" else f"{SCOPED}{scope}/{slot_id}"


def ring(generation: int) -> str:
    return f"{RINGS}{generation:016x}"


def shred(scope: str) -> str:
    return f"{SHREDS}{scope}"


def revoked(writer_id: str, at: str) -> str:
    """What a writer had signed when it was revoked ``at`` that time (the keyring's): a try that never came to its end has another."""
    return f"{REVOKED}{writer_id}/{int(dt.datetime.fromisoformat(at).timestamp() * 1000):012x}"


def writer(writer_id: str) -> str:
    return f"{WRITERS}{writer_id}"


def epoch(scope: str, number: int) -> str:
    return f"{EPOCHS}{scope}/{number:04x}"


def pack(pack_id: bytes, digest: bytes) -> str:
    text = pack_id.hex()
    return f"{PACKS}{text[:2]}/{text}-{digest.hex()}"


def parse_pack(name: str) -> tuple[bytes, bytes] | None:
    """(pack id, BLAKE3 of the object) out of a pack's name, None when it is no pack's name."""
    match = _PACK.match(name)
    if match is None or match[1] != match[2][:2]:
        return None
    return bytes.fromhex(match[2]), bytes.fromhex(match[3])


def point(session: str) -> str:
    return f"{POINTS}{session}"


def dropped(session: str) -> str:
    """The record, made before a point's object goes, that the point is no longer one."""
    return f"{POINTS}{session}{DROPPED}"


def coming(session: str) -> str:
    """The staged copy of a point: what it needs is needed from then on, though the point is not listed yet."""
    return f"{POINTS}{session}{COMING}"


def parse_coming(name: str) -> str | None:
    """The session id out of the name of a staged point, None for any other name."""
    match = _COMING.match(name)
    return None if match is None else match[1]


def parse_point(name: str) -> tuple[str, bool] | None:
    """(session id, whether it is the record of a drop) out of a name below ``points/``, None for any other name."""
    match = _POINT.match(name)
    return None if match is None else (match[1], match[2] is not None)


def session_id(now: dt.datetime, random: bytes) -> str:
    """32 hex digits: 12 of the start in ms since the epoch, so that ids sort by start, then ``random`` (10 bytes)."""
    return f"{int(now.timestamp() * 1000):012x}{random[:10].hex()}"


def session_start(session: str) -> dt.datetime:
    return dt.datetime.fromtimestamp(int(session[:12], 16) / 1000, dt.UTC)


def tag(identity: bytes, kind: str, name: str) -> str:
    """16 hex digits that stand for a name of a system or branch without telling it."""
    return blake3.blake3(f"tag\0{kind}\0{name}".encode("utf-8", "surrogateescape"), key=identity).hexdigest()[:16]
