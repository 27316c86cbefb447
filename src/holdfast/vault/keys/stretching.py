"""A passphrase becomes a key by Argon2id (RFC 9106), which takes time on purpose. What else there is to do is done meanwhile.

The key is derived by another thread, in C and without the interpreter; the work stays on the thread that asked. So imports may be such
work: two threads that import can meet in a circle and be given half a module, one cannot.
"""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_waiting: list[Callable[[], None]] = []


def meanwhile(work: Callable[[], None]) -> None:
    """Have ``work`` done while the next passphrase is stretched for the main thread, or never. It replaces what waited."""
    _waiting[:] = [work]


def stretched(secret: bytes, salt: bytes, *, passes: int, memory_kib: int, lanes: int) -> bytes:
    """32 bytes. Raises argon2's HashingError where it could not run with these parameters."""
    from argon2.low_level import Type, hash_secret_raw

    work = _waiting.pop() if _waiting and threading.current_thread() is threading.main_thread() else None
    if work is None:
        return hash_secret_raw(secret, salt, passes, memory_kib, lanes, 32, Type.ID)
    with ThreadPoolExecutor(1, "key") as other:
        key = other.submit(hash_secret_raw, secret, salt, passes, memory_kib, lanes, 32, Type.ID)
        work()
        return key.result()
