"""A copy's structure, and its content against the source's."""

from collections.abc import Mapping
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.model import Clock, Progress
from holdfast.systems.contract import Isolated
from holdfast.validation.results import Result

SNAPSHOT = "as of a snapshot of the source, which was written to meanwhile"


def structure(view: Isolated, clock: Clock, progress: Progress | None = None) -> list[Result]:
    """The system's own structural checks, each as a result. That there were none is a failure."""
    found, began = [], clock.monotonic()
    try:
        for one in view.structure(progress):
            state = one.state if one.state in ("passed", "failed", "skipped") else "failed"
            now = clock.monotonic()
            found.append(Result(one.name, "structure", state, detail=one.detail, seconds=now - began))  # type: ignore[arg-type]
            began = now
    except HoldfastError as error:
        found.append(Result("structure", "structure", "failed", detail=error.message, seconds=clock.monotonic() - began))
    return found or [Result("structure", "structure", "failed", detail="nothing was there to be looked at")]


def compare(expected: Mapping[str, Any], view: Isolated, clock: Clock, source: Isolated | None = None, limit: int = 5) -> list[Result]:
    """Content hashes of the source (as of the copy's moment) against the copy's, one result a table.

    Nothing to compare is a failure, not a success. ``source``: asked for examples of rows that differ, if it can be.
    """
    began = clock.monotonic()
    if not expected:
        return [Result("content", "compare", "failed", detail="the source has nothing to compare")]
    actual = view.digest()
    found = []
    for name in sorted(set(expected) | set(actual)):
        left, right = expected.get(name), actual.get(name)
        now = clock.monotonic()
        if left == right:
            found.append(Result(name, "compare", "passed", left, right, seconds=now - began))
        else:
            found.append(Result(name, "compare", "failed", left, right, _differ(name, left, right, view, source, limit), now - began))
        began = now
    return [*found, *_empty(expected)]


def against_snapshot(expected: Mapping[str, Any], view: Isolated, clock: Clock) -> list[Result]:
    """The same where the source moved while it was asked. What is alike is so as of that snapshot; what differs proves nothing, since the
    source's later writes may be why.
    """
    began = clock.monotonic()
    actual = view.digest()
    found = []
    for name in sorted(set(expected) | set(actual)):
        left, right = expected.get(name), actual.get(name)
        now = clock.monotonic()
        if left == right:
            found.append(Result(name, "compare", "passed", left, right, f"the same {SNAPSHOT}", now - began))
        else:
            found.append(Result(name, "compare", "skipped", left, right, f"differs {SNAPSHOT}: that may be why", now - began))
        began = now
    return [*found, *_empty(expected)]


def _empty(expected: Mapping[str, Any]) -> list[Result]:
    """That two empty things are alike proves nothing of what was to be compared."""
    counts = [
        int(one.get("rows", one.get("entries", 0)) or 0) for name, one in expected.items() if "#" not in name and isinstance(one, Mapping)
    ]
    if any(counts):
        return []
    return [Result("content", "compare", "skipped", detail="the source is empty: no content was compared")]


def _differ(name: str, left: Any, right: Any, view: Isolated, source: Isolated | None, limit: int) -> str:
    if left is None or right is None:
        return "missing in the copy" if right is None else "not in the source"
    if source is None:
        return "differs"
    try:
        found = view.differences(source, name, limit)
    except HoldfastError as error:
        return f"differs; where could not be found out: {error.message}"
    if found.get("absent"):
        return "differs; it is not there any more to be looked at"
    unit = "rows" if isinstance(left, Mapping) and "rows" in left and "#" not in name else "entries"
    examples = ", ".join(f"{one['key']} ({one['difference']})" for one in found["examples"])
    if not examples:
        return "differs, and by now not any more: it was written to since"
    key = f" (key {', '.join(found['key'])})" if found.get("key") else ""
    only = f"{found['missing']} {unit} only in the source, {found['extra']} only in the copy, {found['changed']} changed"
    return f"{only}; for example{key} {examples}"
