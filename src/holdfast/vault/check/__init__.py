"""Is everything there, and is it what was written? Names what each damage hurts; heals from another location."""

from holdfast.vault.check.report import Found, Report
from holdfast.vault.check.run import Check

__all__ = ["Check", "Found", "Report"]
