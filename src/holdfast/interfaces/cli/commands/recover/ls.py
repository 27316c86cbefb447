"""``holdfast ls``: JSON ``{"point", "path", "entries": [{"path", "kind", "size", "mode", "mtime_ns", "target"?}]}``."""

import datetime as dt
from typing import Annotated, Any

from holdfast.interfaces.cli.commands.recover.show import Point
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument
from holdfast.model import Entry

_LETTER = {"file": "-", "dir": "d", "symlink": "l", "fifo": "p", "socket": "s", "char": "c", "block": "b"}


def command(session: Session, point: Point, path: Annotated[str, Argument("what is below this path", "PATH")] = "") -> int:
    """List what is inside a recovery point, as a listing of files. POINT may be a system: its newest point."""
    reader = session.platform.vault().point(newest(session, point))
    prefix = inner(reader.point.kind, path)
    entries = (stored.entry for stored in reader.entries(prefix) if _below(stored.entry.path, prefix))
    if session.out.as_json:
        session.out.result({"point": reader.point.id, "path": prefix, "entries": [_document(entry) for entry in entries]})
        return 0
    for entry in entries:
        moment = dt.datetime.fromtimestamp(entry.mtime_ns / 1e9, session.plan.zone).isoformat(timespec="seconds")
        arrow = f" -> {entry.target}" if entry.target else ""
        session.out.say(f"{_LETTER[entry.kind]}{entry.mode:04o} {entry.size:>14} {moment} {shown(entry.path)}{shown(arrow)}")
    return 0


def newest(session: Session, point: str) -> str:
    """A point's name as given, or the newest point of the system that it names."""
    if point not in session.plan.systems:
        return point
    points = session.platform.history(point).points()
    return max(points, key=lambda one: one.committed_at).id if points else point


def inner(kind: str, path: str) -> str:
    """A path as it is in a point: of files, one that begins with '/' is the path on the machine."""
    return f"files{path}".rstrip("/") if kind == "files" and path.startswith("/") else path.strip("/")


def shown(text: str) -> str:
    """A name for a terminal: what would move the cursor, or end the line, is escaped."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _below(path: str, prefix: str) -> bool:
    return not prefix or path == prefix or path.startswith(f"{prefix}/")


def _document(entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = {"path": entry.path, "kind": entry.kind, "size": entry.size, "mode": entry.mode, "mtime_ns": entry.mtime_ns}
    return {**found, "target": entry.target} if entry.target else found
