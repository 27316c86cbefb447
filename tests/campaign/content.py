"""What is backed up: small, of every shape, and known from a seed alone."""

import random

import blake3

CHUNK = 4096


def files(seed: int) -> dict[str, bytes]:
    """Path → bytes. Two seeds share some files whole, some in part."""
    made, shared = random.Random(seed), random.Random("shared")
    common = shared.randbytes(6 * CHUNK)
    changed = bytearray(shared.randbytes(5 * CHUNK + 17))
    changed[CHUNK : CHUNK + 8] = made.randbytes(8)
    own = made.randbytes(2 * CHUNK + seed % 100)
    return {
        "empty": b"",
        "small": f"the seed is {seed}".encode(),
        "shared é": common,
        "changed": bytes(changed),
        "own": own,
        "again": own,
        "zeros": bytes(3 * CHUNK),
    }


def streamed(seed: int) -> dict[str, bytes]:
    """Path → bytes of what arrives as a stream."""
    made = random.Random(f"stream {seed}")
    return {"dump": made.randbytes(3 * CHUNK + 100), "dump of nothing": b""}


def everything(seed: int) -> dict[str, bytes]:
    return files(seed) | streamed(seed)


def log_bytes(system: str, branch: str, start: int, end: int) -> bytes:
    """What stands in a log from ``start`` to ``end``."""
    return blake3.blake3(f"{system} {branch}".encode()).digest(length=end - start, seek=start)
