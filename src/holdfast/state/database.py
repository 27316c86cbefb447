"""One SQLite file shared by the processes of one host.

Every operation opens its own connection and closes it again (about 0.2 ms). So the file may be deleted while processes run: the next
operation makes a new one. A process that dies by kill -9 leaves a write-ahead log that the next opener replays or drops, whole
transactions only.
"""

import contextlib
import datetime as dt
import fcntl
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from holdfast.errors import HoldfastError, Refused, Unreachable
from holdfast.model import Clock
from holdfast.state.process import Process, current
from holdfast.state.schema import STEPS, VERSION
from holdfast.state.times import to_text

PATIENCE = 30.0
"""Seconds to wait for another process' transaction; ours take milliseconds."""

NAME = "state.sqlite"


class Taken(Exception):
    """A row of that key is there already."""


class StateNewer(Refused):
    """The state was written by a newer Holdfast."""

    code = "state-newer"


class StateUnusable(Unreachable):
    """The state folder cannot be written, or stayed locked."""

    code = "state-unusable"


class Database:
    """The file ``state.sqlite`` in ``folder``, created with its folder when missing (modes 0600 and 0700)."""

    shared = False
    """Whether other hosts use it too."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self.folder = folder
        self.path = folder / NAME
        self.clock = clock

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection for queries. Raises StateUnusable, StateNewer."""
        with self._connected() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """A connection inside one transaction that begins by taking the write lock; rolled back when the block raises.

        ``durable``: synced when it is committed, so that a power cut does not take it back.
        """
        with self._connected() as connection:
            if durable:
                connection.execute("pragma synchronous = full")
            connection.execute("begin immediate")
            try:
                yield connection
            except BaseException:
                connection.execute("rollback")
                raise
            connection.execute("commit")

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """For who writes every second: the last connection that closes moves everything into the file, which syncs it. While one is held
        here none is the last. A state that cannot be used is told by whoever uses it.
        """
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(HoldfastError):
                stack.enter_context(self._connected())
            yield

    def now(self, _connection: sqlite3.Connection) -> dt.datetime:
        """The clock that leases go by."""
        return self.clock.now()

    @property
    def host(self) -> str:
        return current().host

    def me(self) -> Process:
        """The process that uses it."""
        return current()

    def notices(self) -> list[tuple[str, str]]:
        """(time, text) of what happened to the state itself, newest first."""
        with self.reading() as connection:
            return [(row["at"], row["text"]) for row in connection.execute("select at, text from notices order by id desc limit 20")]

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._open()
        except sqlite3.DatabaseError as error:
            connection = self._after_damage(error)
        except OSError as error:
            raise self._unusable(error) from error
        try:
            yield connection
        except sqlite3.IntegrityError as error:
            raise Taken(str(error)) from None
        except sqlite3.DatabaseError as error:
            raise self._unusable(error) from error
        finally:
            connection.close()

    def _open(self) -> sqlite3.Connection:
        if not self.path.exists():
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Made by us first, so that SQLite's side files inherit the mode.
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            # What is lost in a power cut is only the last marks; the file itself stays whole.
            connection.execute("pragma synchronous = normal")
            version = connection.execute("pragma user_version").fetchone()[0]
            if version != VERSION:
                self._lift(connection, version)
        except BaseException:
            connection.close()
            raise
        return connection

    def _lift(self, connection: sqlite3.Connection, version: int) -> None:
        if version > VERSION:
            raise StateNewer(
                f"The state in {self.path} has version {version}; this Holdfast knows {VERSION}.",
                hint="Use the newer Holdfast, or point HOLDFAST_STATE to another folder. Deleting the file loses no data and no evidence.",
                path=str(self.path),
                version=version,
            )
        with self._alone():
            self._write_ahead(connection)
            connection.execute("begin immediate")
            # Another process may have done it while this one waited.
            for number in range(connection.execute("pragma user_version").fetchone()[0], VERSION):
                for statement in STEPS[number].split(";"):
                    if statement.strip():
                        connection.execute(statement)
                connection.execute(f"pragma user_version = {number + 1}")
            connection.execute("commit")

    def _write_ahead(self, connection: sqlite3.Connection) -> None:
        """SQLite's own patience does not cover this switch, which needs a moment without any reader."""
        deadline = self.clock.monotonic() + PATIENCE
        while True:
            try:
                connection.execute("pragma journal_mode = wal")
            except sqlite3.OperationalError:
                if self.clock.monotonic() > deadline:
                    raise
                self.clock.sleep(0.005)
            else:
                return

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Held by one process of the host while it creates or replaces the file."""
        lock = os.open(self.folder / "state.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _after_damage(self, error: sqlite3.DatabaseError) -> sqlite3.Connection:
        """State may be lost, but a schedule must not stop for it: the damaged file is set aside, never deleted, and said in ``notices``."""
        if isinstance(error, sqlite3.OperationalError):
            raise self._unusable(error) from error
        with self._alone():
            try:
                return self._open_checked()
            except sqlite3.OperationalError as again:
                raise self._unusable(again) from again
            except sqlite3.DatabaseError:
                pass
            moment = self.clock.now()
            aside = self.path.with_name(f"{NAME}.damaged-{moment:%Y%m%dT%H%M%S%f}")
            for suffix in ("-wal", "-shm"):
                self.path.with_name(NAME + suffix).unlink(missing_ok=True)
            self.path.rename(aside)
        connection = self._open()
        text = f"The state was damaged ({error}) and began anew; the old file is kept as {aside.name}."
        connection.execute("insert into notices (at, text) values (?, ?)", (to_text(moment), text))
        return connection

    def _open_checked(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=PATIENCE, isolation_level=None)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("pragma user_version").fetchone()
            found = connection.execute("pragma quick_check(1)").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(found)
        except BaseException:
            connection.close()
            raise
        return connection

    def _unusable(self, error: Exception) -> StateUnusable:
        return StateUnusable(
            f"The state in {self.path} cannot be used: {error}.",
            hint=f"Make {self.folder} writable by this user, or point HOLDFAST_STATE to another folder.",
            path=str(self.path),
        )
