"""What isolated copies of one folder may take together, over all processes: so many at once, so many bytes.

Beside each copy lies a lock file that its process holds, with what the copy claims; a lock that can be taken belongs to a process that is
gone. Looking, counting and taking happen behind one door, so that two processes that come at the same moment count each other.
"""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import Refused

PATTERN = "hf-*.lock"


class SandboxesTaken(Refused):
    """As many isolated copies run as the plan allows, or they take all the room that it gives them."""

    code = "sandboxes-taken"


class SandboxTooSmall(Refused):
    """An isolated copy would not fit into what the plan gives it. Nothing was written."""

    code = "sandbox-too-small"


class SandboxUnfit(Refused):
    """Isolated copies cannot live where they should."""

    code = "sandbox-unfit"


@dataclass(frozen=True, slots=True)
class Allowance:
    """The plan's ``sandbox``: ``limit`` copies at once, together ``size`` bytes; None: any number."""

    limit: int | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """``needed``: bytes of the copy; None for a working folder that holds no copy, and is not counted."""

    purpose: str
    needed: int | None = None


def require_fits(needed: int, allowed: Allowance, folder: Path) -> None:
    """Raises SandboxTooSmall where not even an empty sandbox has the room."""
    if allowed.size is not None and needed > allowed.size:
        raise SandboxTooSmall(
            f"An isolated copy needs about {_gib(needed)}, and the plan's sandbox in {folder} has {_gib(allowed.size)}.",
            hint="Raise sandbox.size in the plan, or name a directory with more room.",
            needed=needed,
            size=allowed.size,
        )


@contextlib.contextmanager
def door(folder: Path) -> Iterator[None]:
    """One at a time, over all processes: by a lock of the folder itself, so that nothing is left in it. Raises SandboxUnfit."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise SandboxUnfit(
            f"No isolated copy can be made in {folder}: {error.strerror}.",
            hint="Set sandbox.directory in the plan to a folder of your own.",
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def take(lock: Path, claim: Claim, allowed: Allowance) -> int:
    """The lock file's descriptor, held. Behind the door, after a sweep. Raises SandboxTooSmall, SandboxesTaken."""
    folder = lock.parent
    if claim.needed is not None:
        require_fits(claim.needed, allowed, folder)
        held = [needed for needed in map(_claimed, folder.glob(PATTERN)) if needed is not None]
        if allowed.limit is not None and len(held) >= allowed.limit:
            raise SandboxesTaken(
                f"{len(held)} isolated copies run in {folder}, and the plan allows {allowed.limit}.",
                hint="Wait for them to end, or raise sandbox.max in the plan.",
            )
        if allowed.size is not None and sum(held) + claim.needed > allowed.size:
            raise SandboxesTaken(
                f"{len(held)} isolated copies take {_gib(sum(held))} of {_gib(allowed.size)} in {folder}, and {_gib(claim.needed)} more"
                " are needed.",
                hint="Wait for them to end, or raise sandbox.size in the plan.",
            )
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.write(descriptor, json.dumps({"pid": os.getpid(), "purpose": claim.purpose, "needed": claim.needed}).encode())
    return descriptor


def _claimed(lock: Path) -> int | None:
    try:
        said = json.loads(lock.read_bytes())
    except (OSError, ValueError):
        return None
    needed = said.get("needed") if isinstance(said, dict) else None
    return needed if isinstance(needed, int) else None


def _gib(size: int) -> str:
    return f"{size / 2**30:.2f} GiB" if size >= 1 << 27 else f"{size / 2**20:.1f} MiB"
