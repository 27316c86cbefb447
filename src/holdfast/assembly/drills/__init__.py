"""Drills of a real platform: what fills the ports of ``holdfast.drills``."""

from holdfast.assembly.drills.stage import PlatformStage

__all__ = ["PlatformStage"]
