"""Log increments of the protected systems: appended by one follower a branch, read back without gap."""

from holdfast.vault.logs.errors import LeaseLost, LogConflict, LogFollowed, LogGap
from holdfast.vault.logs.reader import BranchReader
from holdfast.vault.logs.store import SystemLogs
from holdfast.vault.logs.writer import BranchWriter

__all__ = ["BranchReader", "BranchWriter", "LeaseLost", "LogConflict", "LogFollowed", "LogGap", "SystemLogs"]
