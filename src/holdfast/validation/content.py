"""A copy's structure, and its content against the source's."""

from collections.abc import Mapping
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.model import Clock, Progress
from holdfast.systems.contract import Isolated
from holdfast.validation.results import Result


def structure(view: Isolated, clock: Clock, progress: Progress | None = None) -> list[Result]:
    """The system's own structural checks, each as a result."""
    found, began = [], clock.monotonic()
    try:
        for one in view.structure(progress):
            state = one.state if one.state in ("passed", "failed", "skipped") else "failed"
            now = clock.monotonic()
            found.append(Result(one.name, "structure", state, detail=one.detail, seconds=now - began))  # type: ignore[arg-type]
            began = now
    except HoldfastError as error:
        found.append(Result("structure", "structure", "failed", detail=error.message, seconds=clock.monotonic() - began))
    return found


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
    return found


def _differ(name: str, left: Any, right: Any, view: Isolated, source: Isolated | None, limit: int) -> str:
    if left is None or right is None:
        return "missing in the copy" if right is None else "not in the source"
    if source is None or "#" in name:
        return "differs"
    try:
        found = view.differences(source, name, limit)
    except HoldfastError as error:
        return f"differs; where could not be found out: {error.message}"
    examples = ", ".join(f"{one['key']} ({one['difference']})" for one in found["examples"])
    return f"{found['missing']} rows missing, {found['extra']} too many, {found['changed']} changed; for example {examples}"
