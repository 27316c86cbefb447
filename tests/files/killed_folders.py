"""Backups and restores of a folder in processes that kill themselves (SIGKILL) at a chosen call: killed_folders.py FOLDER.

Started as a program, without threads, so that it may fork. Each kill is followed by another process that goes on; what comes back is
compared with the source, attribute by attribute. Prints how many were killed where.
"""

import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from holdfast.storage.local import LocalStorage
from holdfast.systems.files.restore import run, writing
from tests.files.kit import Later, Scene, differences, picture

KILLED = Counter()


def die_at(owner: Any, name: str, call: int, *, after: bool) -> None:
    real: Callable[..., Any] = getattr(owner, name)
    count = 0

    def counting(*args: Any, **more: Any) -> Any:
        nonlocal count
        count += 1
        mine = count
        if mine == call and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **more)
        if mine == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, counting)


def forked(work: Callable[[], object]) -> bool:
    """Whether ``work`` came to its end in a process of its own; False when that was killed."""
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
    return status == 0


def fill(source: Path, step: int) -> None:
    for number in range(40):
        folder = source / f"d{number % 4}"
        folder.mkdir(exist_ok=True)
        (folder / f"f{number}").write_bytes(bytes([step % 256]) * (number * 97) + os.urandom(3000))
    (source / "large").write_bytes(os.urandom(3 << 20))
    if not (source / "name").exists():
        os.link(source / "large", source / "name")
        (source / "link").symlink_to("large")


def backups(folder: Path) -> None:
    """Killed before and behind each object that a backup stores; what is listed restores, the next one completes the work."""
    step = 0
    for after in (False, True):
        call, alive = 1, False
        while not alive:
            step += 1
            fill(folder / "source", step)

            def doomed(call: int = call, after: bool = after) -> None:
                die_at(LocalStorage, "put_if_absent", call, after=after)
                reopen(folder).backup()

            alive = forked(doomed)
            KILLED["backup"] += not alive
            into = folder / f"out{step}"

            def go_on(into: Path = into) -> None:
                scene = reopen(folder)
                scene.backup()
                scene.restore(into)
                assert not differences(picture(scene.source), picture(scene.at(into)))

            assert forked(go_on)
            call += 1


def restores(folder: Path) -> None:
    """Killed on the way through a restore; another repairs what it left."""
    places = [
        (writing, "write_files", 3),
        (writing.FileTarget, "write", 2),
        (writing.FileTarget, "close", 1),
        (run.FolderRestore, "_link", 1),
        (run, "dress", 4),
        (run, "sync", 1),
    ]
    for owner, name, most in places:
        for call in range(1, most + 1):
            for after in (False, True):
                into = folder / f"{name}{call}{after}"

                def doomed(owner: Any = owner, name: str = name, call: int = call, after: bool = after, into: Path = into) -> None:
                    die_at(owner, name, call, after=after)
                    reopen(folder).restore(into)

                if forked(doomed):
                    continue
                KILLED[name] += 1

                def go_on(into: Path = into) -> None:
                    scene = reopen(folder)
                    scene.restore(into, delta=True)
                    assert not differences(picture(scene.source), picture(scene.at(into)))

                assert forked(go_on)


def reopen(folder: Path) -> Scene:
    scene = Scene.__new__(Scene)
    scene.reopen(folder)
    scene.clock = Later(3.0)
    return scene


def main() -> None:
    folder = Path(sys.argv[1])
    assert forked(lambda: Scene(folder))
    backups(folder)
    restores(folder)
    print(dict(KILLED))


main()
