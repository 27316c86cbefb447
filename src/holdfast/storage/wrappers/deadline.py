"""A location that does not answer at all is given up in time, so that another one can be asked.

A call that hangs cannot be ended from outside (a mounted folder whose server is gone, say). It is carried out by a thread of its own that
nobody waits for, not even the end of the process; whoever called hears StorageUnreachable. What the call still does later is what a call
whose answer was lost does, and every caller of a storage reckons with that.
"""

import datetime as dt
import itertools
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar, cast

from holdfast.storage.contract import Buffer, ObjectInfo, Storage, StorageUnreachable
from holdfast.storage.wrappers.base import Wrapper

T = TypeVar("T")
SECONDS = 30.0
BRIEF = 10.0
"""Where nobody knows yet whether it answers at all."""
NOTICE = 2.0
TAKES = float(128 << 10)
GIVES = float(512 << 10)
"""Bytes a second that a location takes and gives at least in one call: what moves more slowly counts as silent."""
IDLE = 10.0
"""After so many seconds without a call a thread ends, and lets go of the location."""
_PAGE = 1000
_WHOLE = 64 << 20


class Deadline(Wrapper):
    """Each call of ``inner`` answers within ``seconds``, and a second more for each TAKES or GIVES bytes that it moves.

    A location that has not answered yet, or not since it was given up, has ``brief`` seconds, and no more for what it might give. ``told``
    hears after ``notice`` seconds that it is waited for, once in each silence.
    """

    def __init__(
        self,
        inner: Storage,
        *,
        seconds: float = SECONDS,
        brief: float = BRIEF,
        notice: float = NOTICE,
        told: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(inner)
        self._seconds = seconds
        self._brief = min(brief, seconds)
        self._notice = notice
        self._told = told
        self._answers = False
        self._said = False
        self._idle: list[_Hand] = []
        self._lock = threading.Lock()

    def put_if_absent(self, name: str, parts: Sequence[Buffer]) -> None:
        # A copy: the caller uses its buffers again once it has heard that the call failed, and a late write must not see that.
        body = b"".join(parts)
        self._within(f"put {name}", lambda: self.inner.put_if_absent(name, [body]), len(body) / TAKES)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        return self._within(
            f"get {name}", lambda: self.inner.get(name, start, length), (length or 0) / GIVES, _WHOLE / GIVES if length is None else 0.0
        )

    def head(self, name: str) -> ObjectInfo | None:
        return self._within(f"head {name}", lambda: self.inner.head(name))

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        what = f"list {prefix}"
        source = self._within(what, lambda: iter(self.inner.list(prefix, after)))
        while page := self._within(what, lambda: list(itertools.islice(source, _PAGE))):
            yield from page

    def folders(self, prefix: str) -> Iterator[str]:
        yield from self._within(f"list {prefix}", lambda: list(self.inner.folders(prefix)))

    def delete(self, name: str) -> None:
        self._within(f"delete {name}", lambda: self.inner.delete(name))

    def now(self) -> dt.datetime:
        return self._within("tell its time", self.inner.now)

    def _within(self, what: str, action: Callable[[], T], more: float = 0.0, perhaps: float = 0.0) -> T:
        """``more`` seconds for bytes that move, ``perhaps`` for those that may."""
        with self._lock:
            hand = self._idle.pop() if self._idle else _Hand(self._free, self._leave)
        job: _Job[T] = _Job(action)
        hand.jobs.put(job)
        seconds = (self._seconds + perhaps if self._answers else self._brief) + more
        try:
            result, error = self._wait(job, seconds, patient=bool(more or (perhaps and self._answers)))
        except queue.Empty:
            self._answers = False
            raise StorageUnreachable(
                f"{self.url} did not {what} within {seconds:.0f} s.",
                hint="It hangs, or is too slow: look at the mount, the network and the server behind it.",
                url=self.url,
            ) from None
        self._answers, self._said = True, False
        if error is not None:
            raise error
        return cast("T", result)

    def _wait(self, job: "_Job[Any]", seconds: float, *, patient: bool) -> tuple[Any, BaseException | None]:
        """Raises queue.Empty. ``patient``: it moves bytes, and nobody need be told that this takes a while."""
        if patient or self._told is None or self._said or seconds <= self._notice:
            return job.done.get(timeout=seconds)
        try:
            return job.done.get(timeout=self._notice)
        except queue.Empty:
            self._said = True
            self._told(f"{self.url} does not answer; it is waited for, up to {seconds - self._notice:.0f} s more.")
            return job.done.get(timeout=seconds - self._notice)

    def _free(self, hand: "_Hand") -> None:
        with self._lock:
            self._idle.append(hand)

    def _leave(self, hand: "_Hand") -> bool:
        """False: it was taken meanwhile, and a call is coming."""
        with self._lock:
            if hand not in self._idle:
                return False
            self._idle.remove(hand)
            return True


class _Job(Generic[T]):
    """``done`` receives (result, error) once; nobody may be there any more to take it."""

    def __init__(self, action: Callable[[], T]) -> None:
        self.action = action
        self.done: queue.SimpleQueue[tuple[T | None, BaseException | None]] = queue.SimpleQueue()


class _Hand:
    """One thread that carries out calls, one after the other. ``free`` hears that it can take the next, ``leave`` says if it may end."""

    def __init__(self, free: Callable[["_Hand"], None], leave: Callable[["_Hand"], bool]) -> None:
        self.jobs: queue.SimpleQueue[_Job[Any]] = queue.SimpleQueue()
        self._free = free
        self._leave = leave
        threading.Thread(target=self._work, name="holdfast-storage", daemon=True).start()

    def _work(self) -> None:
        while True:
            try:
                job = self.jobs.get(timeout=IDLE)
            except queue.Empty:
                if self._leave(self):
                    return
                continue
            result, error = None, None
            try:
                result = job.action()
            except BaseException as raised:  # noqa: BLE001 - raised to whoever called
                error = raised
            self._free(self)
            job.done.put((result, error))
            del job, result, error
