"""WAL by name, of whatever history is the newest now."""

from holdfast.systems.contract import LogStore
from holdfast.systems.postgres.walserver.fetcher import WalFetcher


class VaultWal:
    """The WAL of a system's newest history, out of the vault; looked up anew when a timeline is asked for that was not there before."""

    def __init__(self, logs: LogStore) -> None:
        self._logs = logs
        self._fetcher: WalFetcher | None = None

    def file(self, name: str) -> bytes | bytearray | None:
        """The bytes of a segment or history file; None when the vault does not hold it."""
        found = self._fetcher.file(name) if self._fetcher else None
        if found is None:
            branches = self._logs.branches()
            if not branches:
                return None
            newest = max(branches, key=lambda branch: int(branch.split("-")[1]))
            old, self._fetcher = self._fetcher, WalFetcher.for_branch(self._logs, newest)
            if old is not None:
                old.close()
            found = self._fetcher.file(name)
        return found
