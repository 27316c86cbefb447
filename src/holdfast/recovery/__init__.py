"""Plan a restore (pure, printable), then run it into a new target; prove it in isolation; search history for the last good moment."""

from holdfast.recovery.estimate import Estimate, Past, estimate
from holdfast.recovery.restoring import RecoveryPlan, RecoveryResult, plan, run
from holdfast.recovery.verify import Compared, Content, Verification, verify
from holdfast.recovery.when import Found, by_check, by_presence, search

__all__ = [
    "Compared",
    "Content",
    "Estimate",
    "Found",
    "Past",
    "RecoveryPlan",
    "RecoveryResult",
    "Verification",
    "by_check",
    "by_presence",
    "estimate",
    "plan",
    "run",
    "search",
    "verify",
]
