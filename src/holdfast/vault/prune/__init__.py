"""Retention carried out: a plan that can be printed, then its run, safe beside crashes and late writers."""

from holdfast.vault.prune.errors import PruneBeside, PruneTooMuch, PruneUnsure
from holdfast.vault.prune.plan import PrunePlan, make
from holdfast.vault.prune.run import Pruned, run

__all__ = ["PruneBeside", "PrunePlan", "PruneTooMuch", "PruneUnsure", "Pruned", "make", "run"]
