"""Holdfast keeps a data platform recoverable, and proves it."""

__version__ = "0.1.0"
