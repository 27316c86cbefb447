"""What the state's topics (leases, runs, runbooks …) are written against: one host's SQLite file, or one PostgreSQL for several hosts."""

import datetime as dt
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from holdfast.model import Clock
from holdfast.state.process import Process


class AnyDatabase(Protocol):
    """Statements are SQLite's, with ``?`` for values, rows by position and by column. Both raise StateUnusable, StateNewer, and ``Taken``
    for a row whose key is there already.
    """

    folder: Path
    """For what only this host needs."""
    clock: Clock

    @property
    def shared(self) -> bool:
        """Whether other hosts use it too."""
        ...

    @property
    def host(self) -> str:
        """The name of this host, told apart from every other that uses the same state."""
        ...

    def me(self) -> Process:
        """The process that uses it."""
        ...

    def reading(self) -> AbstractContextManager[Any]:
        """A connection for queries."""
        ...

    def writing(self, *, durable: bool = False) -> AbstractContextManager[Any]:
        """A connection inside one transaction beside which no other writes; rolled back when the block raises. ``durable``: synced when it
        is committed, so that a power cut does not take it back.
        """
        ...

    def held(self) -> AbstractContextManager[None]:
        """For who writes every second."""
        ...

    def now(self, connection: Any) -> dt.datetime:
        """The clock that leases go by: the same for all that use the state."""
        ...

    def notices(self) -> list[tuple[str, str]]:
        """(time, text) of what happened to the state itself, newest first."""
        ...
