"""What validation's views have in common where a system answers no SQL."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from holdfast.errors import HoldfastError
from holdfast.model import Progress
from holdfast.systems.contract import Relation, Structural


class PlainView:
    """The part of ``systems.contract.Isolated`` that needs no look at content. ``unasked`` says in the system's own words that there is
    nothing to ask.
    """

    def __init__(self, reached: Mapping[str, Any], connection: str) -> None:
        self._reached = reached
        self._connection = connection

    @property
    def reached(self) -> Mapping[str, Any]:
        return self._reached

    @property
    def connection(self) -> str:
        return self._connection

    def unasked(self, table: str | None) -> HoldfastError:
        """``table`` None: a statement was asked."""
        raise NotImplementedError

    def query(self, statement: str, *, database: str | None = None, timeout: float | None = None) -> Sequence[Sequence[Any]]:
        del statement, database, timeout
        self._refuse(None)

    def relation(self, table: str, database: str | None = None) -> Relation:
        del database
        self._refuse(table)

    def structure(self, progress: Progress | None = None) -> Iterator[Structural]:
        del progress
        return iter(())

    def _refuse(self, table: str | None) -> NoReturn:
        raise self.unasked(table)
