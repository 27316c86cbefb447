"""What the processes of a scene said before and after each promise: lines that a killed process leaves behind."""

import json
import os
from pathlib import Path
from typing import Any


class Ledger:
    """Appends one JSON line a call; what was written survives SIGKILL. Nothing of it goes through the storages under test."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def say(self, what: str, **facts: Any) -> None:
        fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(fd, json.dumps({"what": what, **facts}).encode() + b"\n")
        finally:
            os.close(fd)

    def lines(self, what: str) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        return [line for line in map(json.loads, self.path.read_text().splitlines()) if line["what"] == what]

    def ids(self, what: str) -> set[str]:
        """``id`` of every such line."""
        return {line["id"] for line in self.lines(what)}

    # ------------------------------------------------------------ what follows from it

    def content(self, token: str) -> tuple[str, int]:
        """(system, seed) of a point that was at least meant; ``token`` stands in its facts, since a session may change its id."""
        for line in self.lines("intend"):
            if line["id"] == token:
                return line["system"], line["seed"]
        raise AssertionError(f"a point with the token {token} is listed, and nobody ever meant to commit it")

    def must_be_listed(self, name: str) -> set[str]:
        """Committed in a location, by its name, and no prune or erasure was meant to remove them."""
        return {line["id"] for line in self.lines("committed") if name in line["where"]} - self.ids("going")

    def must_be_gone(self, name: str) -> set[str]:
        return {line["id"] for line in self.lines("gone") if name in line["where"]}

    def log_ends(self) -> dict[tuple[str, str], int]:
        """(system, branch) → the position up to which an append was acknowledged."""
        ends: dict[tuple[str, str], int] = {}
        for line in self.lines("appended"):
            key = line["system"], line["branch"]
            ends[key] = max(ends.get(key, 0), line["end"])
        return ends

    def log_starts(self) -> dict[tuple[str, str], int]:
        """(system, branch) → the position before which a prune was allowed to trim."""
        return {(line["system"], line["branch"]): line["start"] for line in self.lines("trimmed")}

    def secrets(self) -> dict[str, str]:
        """secret → "there", "gone", or "open" where a process was killed in between."""
        state: dict[str, str] = {}
        for line in map(json.loads, self.path.read_text().splitlines() if self.path.exists() else []):
            if line["what"] == "key":
                state[line["secret"]] = line["state"]
        return state
