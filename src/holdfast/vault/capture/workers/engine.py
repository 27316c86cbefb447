"""Worker threads with a bounded queue: the first error of any of them stops all and is raised to whoever waits."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Engine(Generic[T]):
    """``workers``: one function a thread (it may own buffers). ``put`` blocks when ``depth`` tasks wait."""

    def __init__(self, workers: Sequence[Callable[[T], None]], depth: int, name: str) -> None:
        self._tasks: deque[T] = deque()
        self._depth = depth
        self._busy = 0
        self._error: BaseException | None = None
        self._stopped = False
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._room = threading.Condition(self._lock)
        self._threads = [
            threading.Thread(target=self._run, args=(worker,), name=f"holdfast-{name}-{i}", daemon=True) for i, worker in enumerate(workers)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, task: T) -> None:
        with self._lock:
            while len(self._tasks) >= self._depth and self._error is None:
                self._room.wait()
            self.check()
            self._tasks.append(task)
            self._work.notify()

    def join(self) -> None:
        """Wait until all tasks are done."""
        with self._lock:
            while (self._tasks or self._busy) and self._error is None:
                self._room.wait()
            self.check()

    def check(self) -> None:
        """Raise the first error."""
        if self._error is not None:
            raise self._error

    def fail(self, error: BaseException) -> None:
        """Stop as if a worker had failed. Safe from any thread."""
        with self._lock:
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        """The same, with the lock held."""
        if self._error is None:
            self._error = error
        self._tasks.clear()
        self._room.notify_all()
        self._work.notify_all()

    def stop(self) -> None:
        """End the threads and wait for them; tasks not begun are dropped."""
        with self._lock:
            self._stopped = True
            self._tasks.clear()
            self._work.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def _run(self, worker: Callable[[T], None]) -> None:
        while True:
            with self._lock:
                while not self._tasks and not self._stopped and self._error is None:
                    self._work.wait()
                if self._stopped or self._error is not None:
                    return
                task = self._tasks.popleft()
                self._busy += 1
                self._room.notify()
            try:
                worker(task)
            except BaseException as error:  # noqa: BLE001 - raised again to whoever waits
                # In one step: were the worker counted as done before its error is known, ``join`` could take the failure for success.
                with self._lock:
                    self._busy -= 1
                    self._failed(error)
                return
            del task
            with self._lock:
                self._busy -= 1
                if not self._busy and not self._tasks:
                    self._room.notify_all()
