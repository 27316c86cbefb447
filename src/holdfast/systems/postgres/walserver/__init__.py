"""Serves WAL files out of a vault's log, and takes archived ones in: the resident side of ``holdfast wal push`` and ``wal get``."""

from holdfast.systems.postgres.walserver.archive import WalArchive
from holdfast.systems.postgres.walserver.errors import WalIncomplete, WalUnavailable
from holdfast.systems.postgres.walserver.fetcher import WalFetcher
from holdfast.systems.postgres.walserver.newest import VaultWal
from holdfast.systems.postgres.walserver.server import WalServer
from holdfast.systems.postgres.walserver.spans import SpanWal

__all__ = ["SpanWal", "VaultWal", "WalArchive", "WalFetcher", "WalIncomplete", "WalServer", "WalUnavailable"]
