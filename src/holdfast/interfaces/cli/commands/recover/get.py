"""``holdfast get``: JSON ``{"point", "to", "files", "bytes"}``."""

import os
from pathlib import Path
from typing import Annotated

from holdfast.errors import Refused, Usage
from holdfast.interfaces.cli.commands.recover.ls import _below, inner, newest, shown
from holdfast.interfaces.cli.commands.recover.show import Point
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option
from holdfast.model import counted
from holdfast.plan import human_size

_LEFT = ("entry is neither a file, a folder nor a link, and is", "entries are neither files, folders nor links, and are")


class PathMissing(Usage):
    """A recovery point holds no such path."""

    code = "path-not-in-point"


class GetTargetExists(Refused):
    """Something stands where a file is to be written."""

    code = "get-target-exists"


def command(
    session: Session,
    point: Point,
    path: Annotated[str, Argument("a file, or a folder with all below it", "PATH")],
    *,
    to: Annotated[Path | None, Option("a new file or folder; by default the last part of PATH, here", metavar="DIR")] = None,
) -> int:
    """Get files out of a recovery point, every byte checked. Writes over nothing."""
    reader = session.platform.vault().point(newest(session, point))
    wanted = inner(reader.point.kind, path)
    found = [stored for stored in reader.entries(wanted) if _below(stored.entry.path, wanted)]
    if not found:
        raise PathMissing(f"The point {reader.point.id[:14]} holds no '{path}'.", hint=f"See what is there: holdfast ls {point}")
    target = (to or Path(Path(wanted).name or reader.point.id[:14])).absolute()
    if os.path.lexists(target):
        raise GetTargetExists(f"{target} exists.", hint="Name a new one with --to, or move it away first.", target=str(target))
    from holdfast.recovery.files import write_out

    left = [stored.entry for stored in found if stored.entry.kind not in ("file", "dir", "symlink")]
    if left:
        session.out.warn(f"{counted(len(left), *_LEFT)} left out: {shown(left[0].path)} first.")
    with session.progress() as progress:
        done = write_out(reader, found, wanted, target, progress)
    document = {"point": reader.point.id, "to": str(target), "files": done.files, "bytes": done.written}
    session.out.result(document, lambda: session.out.say(f"{counted(done.files, 'file')}, {human_size(done.written)} in {target}"))
    return 0
