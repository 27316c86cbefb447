"""Memory that is used again: one that comes fresh from the system for each object is cleared and mapped page by page each time."""

import threading

_STEP = 64 << 10
_LARGEST = 4 << 20
_IDLE = 32 << 20


class Buffers:
    """Thread-safe. Small and huge ones are made as they are asked for; of the others at most 32 MiB wait to be used again."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: dict[int, list[bytearray]] = {}
        self._idle = 0

    def take(self, size: int) -> memoryview:
        """Exactly ``size`` bytes, of any content."""
        if size < _STEP or size > _LARGEST:
            return memoryview(bytearray(size))
        whole = -(-size // _STEP) * _STEP
        with self._lock:
            # What was given last is still in the processor's cache.
            waiting = self._free.get(whole)
            buffer = waiting.pop() if waiting else None
            if buffer is not None:
                self._idle -= whole
        return memoryview(buffer if buffer is not None else bytearray(whole))[:size]

    def give(self, view: memoryview) -> None:
        """Nobody looks at it any more. Only what ``take`` returned, and once."""
        buffer = view.obj
        view.release()
        assert isinstance(buffer, bytearray)
        size = len(buffer)
        if size < _STEP or size > _LARGEST:
            return
        with self._lock:
            if self._idle + size <= _IDLE:
                self._free.setdefault(size, []).append(buffer)
                self._idle += size
