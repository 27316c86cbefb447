"""What the plan says about one PostgreSQL cluster, as the system needs it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Policy = Literal["standby", "prefer-standby", "primary"]


@dataclass(frozen=True, slots=True, repr=False)
class PostgresSettings:
    """``dsns``: one connection string (URI or key=value) for each member; may hold secrets, so it is never shown.

    ``patroni``: base URL of any member's REST API; members are then asked for at each run, and ``dsns[0]``, if any, gives user,
    password, database and TLS settings. ``data_directory``: read in place when the chosen member runs on this host in it.
    ``max_lag`` (seconds): a standby further behind is not used. ``fast``: an immediate checkpoint at the start, not a spread one.
    ``databases``: dumped logically into each point besides. ``rate`` (bytes/s): the server's own throttle of a remote backup; reading in
    place is throttled by the writer. ``wal_wait`` and ``summary_wait`` (seconds): how long to wait without any progress.
    ``follower_slot``: the slot of the resident follower; ``wal_backlog_warn`` in bytes, for `check`. ``continuous``: the plan promises that
    the log goes on without a gap: a backup ships what an absent follower lacks.
    ``synchronous``: every commit is meant to wait for the follower.
    """

    dsns: tuple[str, ...] = ()
    patroni: str | None = None
    data_directory: Path | None = None
    policy: Policy = "primary"
    max_lag: float = 300.0
    fast: bool = True
    databases: tuple[str, ...] = ()
    pg_dump: str = "pg_dump"
    rate: int | None = None
    connect_timeout: int = 10
    wal_wait: float = 60.0
    summary_wait: float = 60.0
    follower_slot: str | None = None
    continuous: bool = False
    wal_backlog_warn: int | None = None
    tls_ca: Path | None = None
    synchronous: bool = False

    def __repr__(self) -> str:
        members = self.patroni or len(self.dsns)
        return f"PostgresSettings(members={members!r}, data_directory={self.data_directory}, policy={self.policy!r})"
