"""``holdfast export``: JSON ``{"point", "to", "files", "bytes", "wal": {"from", "to"} | null, "dumps": [name],
"owner", "notes"}``.
"""

from pathlib import Path
from typing import Annotated

from holdfast.interfaces.cli.commands.recover.show import Point
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option
from holdfast.model import counted
from holdfast.plan import human_size


def command(
    session: Session,
    point: Point,
    *,
    to: Annotated[Path, Option("a new folder", metavar="DIR")],
    all_wal: Annotated[bool, Option("also the WAL behind the point, as far as the vault has it: any later moment can be reached")] = False,
    owner: Annotated[
        str | None, Option("of PostgreSQL, run as root: the account that it belongs to, which alone may read it; by default postgres")
    ] = None,
) -> int:
    """Write a recovery point in portable form: bare PostgreSQL recovers from it, without Holdfast; files are plain files.

    Of PostgreSQL: the data directory as plain files, WAL as segments under PostgreSQL's own names, logical dumps where the point has
    some, and a README that says how.
    """
    session.kept = f"What lies in {to} is not whole (it has no README): remove it, and run the same command again."
    with session.progress() as progress:
        done = session.platform.export(point, to.absolute(), all_wal=all_wal, progress=progress, owner=owner)
    wal = None if done.wal is None else {"from": done.wal[0], "to": done.wal[1]}
    document = {
        "point": done.point,
        "to": str(done.folder),
        "files": done.files,
        "bytes": done.bytes,
        "wal": wal,
        "dumps": list(done.dumps),
        "owner": done.owner,
        "notes": list(done.notes),
    }

    def human() -> None:
        behind = f", WAL from {done.wal[0]} to {done.wal[1]}" if done.wal else ""
        session.out.say(f"{counted(done.files, 'file')}, {human_size(done.bytes)}{behind} in {done.folder}")
        if done.owner:
            session.out.say(f"It belongs to {done.owner}, and nobody else may read it.")
        for note in done.notes:
            session.out.warn(note)
        session.out.say(f"What it is, and how to use it: {done.folder / 'README'}")

    session.out.result(document, human)
    return 0
