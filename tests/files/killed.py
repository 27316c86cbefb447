"""Captures and restores of repositories and images in processes that are killed on the way: killed.py WHAT FOLDER STEP [IMAGE REGISTRY].

Each run is a process of its own that kills itself (SIGKILL) at a chosen call, before it or after it; another then goes on. Started as a
program, without threads, so that it may fork. Prints a line for each kill that happened.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast.model import RecoveryPoint, Silent, SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.systems.files import plain
from holdfast.systems.files.git import repository
from holdfast.systems.files.git.part import GitPart
from holdfast.systems.files.git.run import Git
from holdfast.systems.files.images import ImageSpec, RegistrySettings
from holdfast.systems.files.images.part import ImagesPart
from holdfast.systems.files.images.transport import Transport
from holdfast.vault import Vault
from tests.files.git.kit import commit, refs
from tests.vault.kit import SECRET

CLOCK = SystemClock()


def die_at(owner: Any, name: str, call: int, *, after: bool) -> None:
    """The ``call``-th call of ``owner.name`` in this process is its end."""
    real: Callable[..., Any] = getattr(owner, name)
    count = 0

    def counting(*args: Any, **more: Any) -> Any:
        nonlocal count
        count += 1
        if count == call and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **more)
        if count == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, counting)


def forked(work: Callable[[], None]) -> int:
    """The status of a process that did ``work``: 0, or the signal that ended it, negative."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - the parent is told by the status
            print(repr(error), file=sys.stderr, flush=True)
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL), status
    return status


def opened(folder: Path) -> Vault:
    return Vault.open([LocalStorage(str(folder / "vault"))], SECRET, clock=CLOCK, cache=folder / "cache")


def parts(folder: Path, image: str, registry: str) -> Any:
    if image:
        return ImagesPart([ImageSpec(image)], lambda: {registry: RegistrySettings(registry, plain_http=True)}, CLOCK)
    return GitPart(lambda: [repository(str(folder / "source"))], folder / "git-cache", CLOCK)


def newest(vault: Vault) -> RecoveryPoint | None:
    return max(vault.points(), key=lambda point: point.committed_at, default=None)


def capture(folder: Path, part: Any, *, full: bool = False) -> None:
    with opened(folder) as vault:
        base = None if full else newest(vault)
        with vault.begin(system="s", kind="files", base=vault.point(base.id) if base else None) as writer:
            done = part.capture(writer, Silent())
            writer.commit(kind="files", start={}, stop={}, facts={part.name: dict(done.facts)}, findings=done.findings)


def restore(folder: Path, part: Any, into: Path) -> None:
    with opened(folder) as vault:
        point = newest(vault)
        assert point is not None
        part.restore(vault.point(point.id), into, (), Silent())
        found = part.examine(into)
        assert found, "nothing was restored"
        assert all(one.state == "passed" for one in found), found
        left = list(into.rglob("*.partial"))
        assert not left, left


def same(folder: Path, into: Path, image: str) -> None:
    if not image:
        assert refs(into / "source.git") == refs(folder / "source")


def main() -> None:
    what, place, step, *more = sys.argv[1:]
    image, registry = more or ("", "")
    folder = Path(place)
    part = parts(folder, image, registry)
    owner, name = (Transport, "_once") if image else (Git, "run")
    if what == "restore":
        owner, name = (plain.PlainTarget, "close") if image else (Git, "run")
        assert forked(lambda: capture(folder, part)) == 0
    kills = 0
    for number in range(1, 400, int(step)):
        call, after = -(-number // 2), number % 2 == 0
        into = folder / f"into-{number}"

        def doomed(call: int = call, into: Path = into, *, after: bool = after) -> None:
            die_at(owner, name, call, after=after)
            if what == "restore":
                restore(folder, part, into)
            else:
                # With a base only little of an image would be asked for.
                capture(folder, part, full=bool(image))

        if what == "capture" and not image:
            commit(folder / "source", "file", str(number))
        if forked(doomed) == 0:
            break
        kills += 1
        print(f"killed {what} {'after' if after else 'before'} call {call} of {owner.__name__}.{name}", flush=True)
        if what == "capture":
            assert forked(lambda: capture(folder, part)) == 0
        assert forked(lambda into=into: restore(folder, part, into)) == 0  # type: ignore[misc]
        same(folder, into, image)
    else:
        raise SystemExit("it never came to an end")
    assert not subprocess.run(["find", str(folder / "git-cache"), "-name", "work", "-type", "d"], capture_output=True, check=False).stdout
    print("kills", kills)


if __name__ == "__main__":
    main()
