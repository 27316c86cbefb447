"""Object lock as the vault uses it: what is locked for how long, whom to believe among versions, what a new point must lock again.

Storages that keep no versions are passed over everywhere, so nobody needs to ask first.
"""

from holdfast.vault.lock.again import keep_records
from holdfast.vault.lock.attach import attach
from holdfast.vault.lock.daily import daily_bytes
from holdfast.vault.lock.extend import LockBook, before_commit, before_copied, hold_full, keep_logs
from holdfast.vault.lock.policy import LOG_TERM, slack, term
from holdfast.vault.lock.standing import locked, removable, void_drops

__all__ = [
    "LOG_TERM",
    "LockBook",
    "attach",
    "before_commit",
    "before_copied",
    "daily_bytes",
    "hold_full",
    "keep_logs",
    "keep_records",
    "locked",
    "removable",
    "slack",
    "term",
    "void_drops",
]
