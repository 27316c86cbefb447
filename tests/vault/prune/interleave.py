"""The vault's own code, several actors at once over locations in memory; a scheduler decides at every storage call who goes on.

A call takes effect when the scheduler says so, and is answered when it says so again: between the two anybody may act, or the actor may
die. Nothing is timed: the scheduler waits until whoever it let go on stands at its next call, or has come to its end.
"""

import random
import threading
from collections.abc import Callable, Iterator

from holdfast.storage.contract import Storage
from holdfast.storage.wrappers.base import Wrapper

_LONG = 240.0


class Killed(BaseException):
    """Nothing catches it, as nothing catches a kill."""


class Actor:
    """Runs ``act`` in a thread of its own; every storage call of any of its threads goes through ``gate``."""

    def __init__(self, kind: str, changed: threading.Condition) -> None:
        self.kind = kind
        self.waiting: list[threading.Event] = []
        self.killed = False
        self.ended = False
        self.error: BaseException | None = None
        self.calls = 0
        self._changed = changed
        self._thread: threading.Thread | None = None

    def start(self, act: Callable[[], None]) -> None:
        def run() -> None:
            try:
                act()
            except BaseException as error:  # noqa: BLE001 - judged by the scheduler
                self.error = error
            with self._changed:
                self.ended = True
                self._changed.notify_all()

        self._thread = threading.Thread(target=run, name=f"actor-{self.kind}", daemon=True)
        self._thread.start()

    def gate(self) -> None:
        """Wait for the scheduler."""
        turn = threading.Event()
        with self._changed:
            if self.killed:
                raise Killed
            self.waiting.append(turn)
            self._changed.notify_all()
        if not turn.wait(_LONG):
            raise AssertionError(f"the scheduler forgot a {self.kind}")
        if self.killed:
            raise Killed

    def join(self) -> None:
        assert self._thread is not None
        self._thread.join(_LONG)
        assert not self._thread.is_alive(), self.kind


class Gated(Wrapper):
    """A storage as one actor sees it."""

    def __init__(self, inner: Storage, actor: Actor) -> None:
        super().__init__(inner)
        self._actor = actor
        self.open = True

    def _do(self, call: Callable[[], object]) -> object:
        if self.open:
            return call()
        self._actor.gate()
        try:
            result = call()
        except Exception as error:  # noqa: BLE001 - an answer too: it arrives when the scheduler lets it
            result = error
        self._actor.gate()
        if isinstance(result, Exception):
            raise result
        return result

    def put_if_absent(self, name, parts):
        joined = [b"".join(parts)]
        return self._do(lambda: self.inner.put_if_absent(name, joined))

    def get(self, name, start=0, length=None):
        return self._do(lambda: self.inner.get(name, start, length))

    def head(self, name):
        return self._do(lambda: self.inner.head(name))

    def list(self, prefix="", after="") -> Iterator:
        yield from self._do(lambda: list(self.inner.list(prefix, after)))

    def folders(self, prefix):
        yield from self._do(lambda: list(self.inner.folders(prefix)))

    def delete(self, name):
        return self._do(lambda: self.inner.delete(name))


class Scheduler:
    """``check`` is called after every call that took effect."""

    def __init__(self, seed: int, check: Callable[[], None]) -> None:
        self.random = random.Random(seed)
        self.actors: list[Actor] = []
        self.steps = 0
        self.ends: list[tuple[str, BaseException | None]] = []
        self._check = check
        self._changed = threading.Condition()

    def actor(self, kind: str) -> Actor:
        return Actor(kind, self._changed)

    def start(self, actor: Actor, act: Callable[[], None]) -> None:
        actor.start(act)
        self.actors.append(actor)
        self._settle(actor)

    def step(self, actor: Actor) -> None:
        """One of its calls takes effect, or one answer arrives."""
        with self._changed:
            if not actor.waiting:
                return
            turn = actor.waiting.pop(self.random.randrange(len(actor.waiting)))
        self.steps += 1
        actor.calls += 1
        turn.set()
        self._settle(actor)
        self._check()

    def kill(self, actor: Actor) -> None:
        self.steps += 1
        with self._changed:
            actor.killed = True
            waiting, actor.waiting = actor.waiting, []
        for turn in waiting:
            turn.set()
        actor.join()
        self.actors.remove(actor)
        self.ends.append((f"killed {actor.kind}", None))

    def _settle(self, actor: Actor) -> None:
        """It stands at its next call, or ended."""
        with self._changed:
            assert self._changed.wait_for(lambda: actor.waiting or actor.ended, _LONG), f"{actor.kind} neither calls nor ends"
            if not actor.ended:
                return
        actor.join()
        self.actors.remove(actor)
        self.ends.append((actor.kind, actor.error))
