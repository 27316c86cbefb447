"""How much of a system did not come back: what was written to it by then, as it is known outside the platform, against what is there."""

import datetime as dt
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.demo.ledger import Acknowledged


@dataclass(frozen=True, slots=True)
class Loss:
    """``lost``: pieces that lack. ``seconds``: between the newest that came back and the newest that was written, None where that says
    nothing: nothing came back, or the newest did while older ones lack. ``newest``: ISO 8601, "" for none; ``counted``: how, in words.
    """

    lost: int
    seconds: float | None
    newest: str
    counted: str


@dataclass(frozen=True, slots=True)
class Entry:
    """``mark``: SHA-256 of type, mode and content; ``at``: when it was written, None for a folder."""

    mark: str
    at: dt.datetime | None


def listing(folder: Path) -> dict[str, Entry]:
    """Every entry below ``folder`` by its path there."""
    return {str(path.relative_to(folder)): _entry(path) for path in sorted(folder.rglob("*"))}


def _entry(path: Path) -> Entry:
    status = path.lstat()
    content = str(path.readlink()).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
    mark = hashlib.sha256(f"{status.st_mode:o}\0".encode() + content).hexdigest()
    folder = path.is_dir() and not path.is_symlink()
    return Entry(mark, None if folder else dt.datetime.fromtimestamp(status.st_mtime, dt.UTC))


def of_files(written: Mapping[str, Entry], found: Mapping[str, Entry]) -> Loss:
    """``written``: as it stood just before the disaster; ``found``: what came back."""
    equal = {name for name, entry in written.items() if name in found and found[name].mark == entry.mark}
    newest = max((one.at for one in written.values() if one.at), default=None)
    recovered = max((one.at for name, one in written.items() if name in equal and one.at), default=None)
    what = f"{len(equal)} of {len(written)} entries that stood there just before the disaster came back equal, compared one by one"
    return _loss(len(written) - len(equal), newest, recovered, what)


def of_orders(acknowledged: Sequence[Acknowledged], there: set[int], what: str) -> Loss:
    """``there``: numbers of the orders that came back; ``what``: of which orders, and where they were looked for."""
    came_back = [one for one in acknowledged if one.number in there]
    newest = max((one.acked for one in acknowledged), default=None)
    recovered = max((one.acked for one in came_back), default=None)
    return _loss(
        len(acknowledged) - len(came_back), newest, recovered, f"{len(came_back)} of {len(acknowledged)} acknowledged orders are {what}"
    )


def _loss(lost: int, newest: dt.datetime | None, recovered: dt.datetime | None, counted: str) -> Loss:
    between = (newest - recovered).total_seconds() if newest and recovered else None
    if lost and not between:
        why = "the newest came back while others lack" if recovered else "nothing came back"
        return Loss(lost, None, recovered.isoformat() if recovered else "", f"{counted}; no seconds: {why}")
    return Loss(lost, between, recovered.isoformat() if recovered else "", counted)
