"""The vocabulary as frozen types, shared by every room. Standard library and pydantic only."""

from holdfast.model.entry import Entry
from holdfast.model.increment import Extracted, Increment
from holdfast.model.ports import Clock, Progress, Silent, SystemClock
from holdfast.model.recovery_point import Finding, RecoveryPoint, Totals
from holdfast.model.words import counted

__all__ = ["Clock", "Entry", "Extracted", "Finding", "Increment", "Progress", "RecoveryPoint", "Silent", "SystemClock", "Totals", "counted"]
