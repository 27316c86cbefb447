"""How long which object of a vault is locked. Only names and the plan's days count; docs/vault-format.md, "Lock", argues the figures."""

import datetime as dt

from holdfast.storage.contract import Lock
from holdfast.vault.format import envelope, names
from holdfast.vault.format.text import from_json

LOG_TERM = dt.timedelta(days=4)
"""Of an increment as it is put: over a long weekend. Compaction, or a later commit, holds for all days what is still needed then."""
_FREE = (names.SESSIONS, names.CONDEMNED, names.DAMAGED, names.SHREDS, "probe/", "aside/")
_AGAIN = (names.PACKS, names.INDEX, "keys/", names.CONFIG, "FORMAT.md", "decoder.py")
"""What later points need too: locked a little longer at once, so that most commits find the lock long enough."""


def slack(lock: Lock) -> dt.timedelta:
    """A quarter of the lock, from six hours to a week: so often, at the most, the lock of one reused object is extended."""
    return min(max(lock.term / 4, dt.timedelta(hours=6)), dt.timedelta(days=7))


def term(name: str, lock: Lock, body: bytes = b"") -> dt.timedelta | None:
    """From the moment it is put; None for what must be removable at any time: who is at work, and aborts, which hold nothing and may have
    to make room for the point of a session that came too late in one location only.
    """
    if name.startswith(_FREE) or name.endswith((names.DROPPED, ".coming")):
        return None
    if name.startswith(names.POINTS) and _kind(body) == "abort":
        return None
    if name.startswith(names.LOGS):
        return min(lock.term, LOG_TERM)
    return lock.term + slack(lock) if name.startswith(_AGAIN) else lock.term


def _kind(body: bytes) -> str:
    """Of an envelope, by its clear part alone; '' for what is none."""
    if body[:8] != envelope.MAGIC:
        return ""
    try:
        return str(from_json(body[12 : 12 + int.from_bytes(body[8:12], "little")]).get("kind", ""))
    except (ValueError, AttributeError):
        return ""
