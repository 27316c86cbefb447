"""What a check found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Severity = Literal["damage", "gap", "notice"]


@dataclass(slots=True)
class Found:
    """One finding. ``hurts``: systems by point id; ``files``: paths by point id (the first hundred), where this key may read them.

    ``severity``: damage (bytes that a point or the vault needs are wrong or missing), gap (a range of a log that no location holds),
    notice (worth knowing, harmless). ``unhealed``: why a heal that was asked for could not make it good.
    """

    severity: Severity
    code: str
    location: str
    object: str
    detail: str
    hurts: dict[str, str] = field(default_factory=dict)
    files: dict[str, list[str]] = field(default_factory=dict)
    healed: bool = False
    unhealed: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "severity": self.severity,
            "code": self.code,
            "location": self.location,
            "object": self.object,
            "detail": self.detail,
            "hurts": self.hurts,
            "files": self.files,
            "healed": self.healed,
            "unhealed": self.unhealed or None,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """``objects`` and ``bytes`` by location: what was looked at; ``read`` bytes of packs and logs were read and hashed.

    ``silent``: by address, why a location was not checked, or not to its end. Nobody knows then whether the vault is whole.
    """

    found: Sequence[Found]
    objects: Mapping[str, int]
    bytes: Mapping[str, int]
    read: int
    deep: bool
    silent: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Every location was looked at, and nothing is wrong that was not healed."""
        return not self.silent and not self.wrong

    @property
    def wrong(self) -> list[Found]:
        """What is wrong and was not healed."""
        return [one for one in self.found if one.severity != "notice" and not one.healed]

    @property
    def damaged(self) -> bool:
        return any(one.severity == "damage" and not one.healed for one in self.found)

    @property
    def verdict(self) -> str:
        """passed, failed, or inconclusive where a location did not answer and nothing is wrong elsewhere."""
        return "passed" if self.ok else "failed" if self.wrong else "inconclusive"

    @property
    def results(self) -> list[dict[str, Any]]:
        """For each location what was expected and what is so, JSON-ready, as ``validation`` has it."""
        told = []
        for url in sorted({*self.objects, *self.silent}):
            wrong = [one for one in self.wrong if one.location == url]
            state = "failed" if wrong else "skipped" if url in self.silent else "passed"
            looked = f"{self.objects.get(url, 0)} objects, {self.bytes.get(url, 0)} bytes listed"
            said = f"{wrong[0].code}: {wrong[0].object}" if wrong else self.silent.get(url, looked)
            one = {"name": url, "kind": "structure", "state": state, "expected": 0, "actual": len(wrong), "detail": said, "seconds": 0.0}
            told.append(one)
        return told

    def to_json(self) -> dict[str, Any]:
        return {
            "ok": self.ok,
            "found": [one.to_json() for one in self.found],
            "objects": dict(self.objects),
            "bytes": dict(self.bytes),
            "read": self.read,
            "silent": dict(self.silent),
            "content_opened": self.deep,
        }
