"""Retention carried out beside writers: a plan that can be printed, then its run, location by location (docs/prune-protocol.md)."""

from holdfast.vault.prune.errors import PruneTooMuch, PruneUnsure
from holdfast.vault.prune.plan import PrunePlan, make
from holdfast.vault.prune.run import Pruned, run

__all__ = ["PrunePlan", "PruneTooMuch", "PruneUnsure", "Pruned", "make", "run"]
