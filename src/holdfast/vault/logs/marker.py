"""What was seen of a branch before, kept on this machine, so that opening it does not list 100,000 increments again.

May be lost at any time.

It is believed only where the listing bears it out: who goes on from a position lists from before it and looks for the increment that ends
there, in every location. A location that was put back to an older state, or emptied, is listed whole.
"""

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Marker:
    """One small file for each branch and purpose."""

    def __init__(self, folder: Path, system: str, branch: str) -> None:
        """Both are tags."""
        self._stem = folder / "logs" / f"{system}-{branch}"

    def level(self, urls: Sequence[str]) -> int | None:
        """The position up to which these locations held the same increments."""
        told = self._read("level")
        return told["position"] if told is not None and told.get("urls") == list(urls) and isinstance(told.get("position"), int) else None

    def set_level(self, urls: Sequence[str], position: int) -> None:
        self._write("level", {"urls": list(urls), "position": position})

    def ranges(self, urls: Sequence[str]) -> list[tuple[int, int]]:
        """What the branch was seen to hold in these locations."""
        told = self._read("ranges")
        try:
            return [(int(low), int(high)) for low, high in told["ranges"]] if told is not None and told["urls"] == list(urls) else []
        except (KeyError, TypeError, ValueError):
            return []

    def set_ranges(self, urls: Sequence[str], ranges: Sequence[tuple[int, int]]) -> None:
        self._write("ranges", {"urls": list(urls), "ranges": [list(one) for one in ranges]})

    def _path(self, what: str) -> Path:
        return self._stem.with_name(f"{self._stem.name}.{what}.json")

    def _read(self, what: str) -> dict[str, Any] | None:
        try:
            told = json.loads(self._path(what).read_bytes())
        except (OSError, ValueError):
            return None
        return told if isinstance(told, dict) else None

    def _write(self, what: str, document: dict[str, Any]) -> None:
        path = self._path(what)
        # Without it the next one lists everything: slower, and as right.
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f"{path.name}.{os.getpid()}")
            temporary.write_text(json.dumps(document))
            temporary.replace(path)
