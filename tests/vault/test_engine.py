"""The worker threads: an error of the last task is never taken for success."""

import threading
import time
from types import SimpleNamespace

import pytest

from holdfast.vault.capture.workers import engine as module
from holdfast.vault.capture.workers.engine import Engine


class _Lock:
    """The main thread comes late to it, and a worker that has failed lets the main thread go first whenever it lets go."""

    def __init__(self, failed: threading.Event) -> None:
        self._inner = threading.Lock()
        self._failed = failed

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if threading.current_thread() is threading.main_thread():
            time.sleep(0.001)
        return self._inner.acquire(blocking, timeout)

    def release(self) -> None:
        self._inner.release()
        if self._failed.is_set() and threading.current_thread() is not threading.main_thread():
            time.sleep(0.02)

    __enter__ = acquire

    def __exit__(self, *_: object) -> None:
        self.release()


@pytest.mark.parametrize("workers", [1, 2])
def test_the_error_of_the_last_task_reaches_whoever_waits(monkeypatch, workers):
    failed = threading.Event()
    slow = SimpleNamespace(
        Lock=lambda: _Lock(failed), Condition=threading.Condition, Thread=threading.Thread, current_thread=threading.current_thread
    )
    monkeypatch.setattr(module, "threading", slow)

    def work(task: int) -> None:
        if task:
            failed.set()
            raise ValueError("the last one")

    for _ in range(20):
        failed.clear()
        engine: Engine[int] = Engine([work] * workers, 4, "test")
        try:
            with pytest.raises(ValueError, match="the last one"):  # noqa: PT012 - any of the calls may raise it
                engine.put(0)
                engine.put(1)
                engine.join()
        finally:
            engine.stop()
