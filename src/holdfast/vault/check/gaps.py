"""What a gap in a log means: a point that cannot be restored, following that left something out, or a time in which nobody followed."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from holdfast.errors import Damaged
from holdfast.model import Increment, RecoveryPoint
from holdfast.vault.check.report import Found
from holdfast.vault.errors import RoleLacking
from holdfast.vault.format import names
from holdfast.vault.logs import body
from holdfast.vault.vault import Vault


def judge(vault: Vault, points: Sequence[RecoveryPoint], folder: str, before: Increment, behind: Increment) -> Found:
    """The gap between two neighbours of the branch that lies in ``folder``."""
    where = f"from {before.end:#x} to {behind.start:#x}"
    hurts = {point.id: point.system for point in points if _needs(vault, point, folder, before.end, behind.start)}
    if hurts:
        return Found("damage", "log-gap", "", folder, f"The log is missing {where}; points cannot be restored without it.", hurts)
    if _island(vault, before):
        return Found("notice", "log-not-followed", "", folder, f"Between recovery points nothing was followed: {where}.")
    return Found("gap", "log-gap", "", folder, f"The log is missing {where}.")


def _needs(vault: Vault, point: RecoveryPoint, folder: str, start: int, end: int) -> bool:
    """Whether a point is not consistent without the log in [start, end)."""
    first, last = position_of(point.start), position_of(point.stop)
    if point.logs is None or first is None or last is None or not (first < end and start < last):
        return False
    return folder == f"{names.LOGS}{vault.notary.tag('system', point.system)}/{vault.notary.tag('branch', point.logs)}"


def position_of(coordinate: Mapping[str, Any]) -> int | None:
    """The log's position in a coordinate; None where it names none (PostgreSQL writes an LSN as two hexadecimal numbers)."""
    high, _, low = str(coordinate.get("lsn", "")).partition("/")
    try:
        return (int(high, 16) << 32) | int(low, 16)
    except ValueError:
        return None


def _island(vault: Vault, increment: Increment) -> bool:
    """Whether a backup shipped it for itself alone. What cannot be read counts as followed."""
    try:
        opened = vault.locations.read(increment.name, partial(body.open_head, vault.notary, increment.name))
    except (Damaged, RoleLacking):
        return False
    return bool(opened.meta.get("island"))
