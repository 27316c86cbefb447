"""How objects are put into a bucket: as every kind of system that writes to one does."""

from holdfast.systems.shared.putting import PART, LargeTarget, Putter

__all__ = ["PART", "LargeTarget", "Putter"]
