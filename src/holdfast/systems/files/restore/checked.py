"""Whether an entry can be what a capture wrote: whoever has a writer's key can sign any tree."""

import base64
from typing import Any

from holdfast.model import Entry
from holdfast.systems.files.attributes import is_kept
from holdfast.systems.files.errors import EntryNonsense


def checked(entry: Entry) -> Entry:
    """Raises EntryNonsense."""
    extra = entry.extra
    sound = (
        entry.mode <= 0o7777
        and max(entry.uid, entry.gid) < (1 << 32) - 1
        and abs(entry.mtime_ns) < 1 << 63
        and all(_number(extra[key]) for key in ("i", "c", "n", "v") if key in extra)
        and ("i" in extra or "n" not in extra)
        and ("a" not in extra or _attributes(extra["a"]))
        and ("h" not in extra or _ranges(extra["h"], entry.size))
        and ("d" not in extra or (isinstance(extra["d"], list) and len(extra["d"]) == 2 and all(map(_number, extra["d"]))))
        and (entry.kind != "symlink" or bool(entry.target))
        and "\0" not in (entry.target or "")
    )
    if not sound:
        raise EntryNonsense(
            f"The point holds an entry that no capture wrote: {entry.path!r}.", hint="Restore another point; see: holdfast vault check"
        )
    return entry


def _number(value: Any) -> bool:
    return type(value) is int and abs(value) < 1 << 64


def _attributes(value: Any) -> bool:
    return isinstance(value, dict) and all(is_kept(name) and "\0" not in name and _base64(text) for name, text in value.items())


def _base64(text: Any) -> bool:
    try:
        return isinstance(text, str) and base64.b64decode(text, validate=True) is not None
    except ValueError:
        return False


def _ranges(value: Any, size: int) -> bool:
    if not isinstance(value, list):
        return False
    before = 0
    for one in value:
        if not (isinstance(one, list) and len(one) == 2 and all(map(_number, one)) and before <= one[0] < one[1] <= size):
            return False
        before = one[1]
    return True
