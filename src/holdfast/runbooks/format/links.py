"""What a runbook's parts say of each other: every reference leads somewhere, no secret where others could read it, roles exist."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from holdfast.plan.errors import Mark, did_you_mean
from holdfast.plan.source.tree import Mapping as TreeMapping
from holdfast.plan.source.tree import Scalar, scalars
from holdfast.runbooks.format.doings import Reading
from holdfast.runbooks.format.insert import REFERENCE, references
from holdfast.runbooks.outputs import read_path


def check_links(reading: Reading, document: Mapping[str, Any], trees: Mapping[str, TreeMapping], front: TreeMapping) -> None:
    """Adds to the reading's problems."""
    parameters = document["parameters"]
    known = {name: shape["type"] for name, shape in parameters.items()}
    _parameters(reading, document, front)
    _prerequisites(reading, document, front)
    seen: set[str] = set()
    for step in document["steps"]:
        tree = trees[step["id"]]
        mark = Mark(reading.file, step["line"], 1)
        if step["id"] in seen:
            reading.wrong(_place(tree, "id") or mark, f"two steps are called '{step['id']}'", "give each a name of its own")
        seen.add(step["id"])
        _roles(reading, document, step, tree)
        own = {f"{step['id']}.{name}": "output" for name in step.get("outputs", {})}
        for condition in step.get("when", {}):
            _known(reading, condition, {**known}, tree, "when")
            if known.get(condition) == "secret":
                reading.wrong(_place(tree, "when") or mark, f"the secret {condition} decides nothing", "use another parameter")
        for key, doing in _doings(step):
            there = {**known, **(own if key in ("probe", "undo") else {})}
            _references(reading, doing["action"], there, tree)
            for name in references(doing.get("expect", {})):
                _known(reading, name, there, tree, "")
        for key in ("do", "ask"):
            for name in references(step.get(key, "")):
                _known(reading, name, known, tree, key)
                if known.get(name) == "secret":
                    reading.wrong(_place(tree, key) or mark, f"the secret {name} is not shown to people", "leave it out")
        _paths(reading, step, tree)
        known |= own
        if step["kind"] == "decision":
            known[f"{step['id']}.choice"] = "output"


def _doings(step: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if step.get("action"):
        yield "action", {"action": step["action"], "expect": step.get("expect", {})}
    for key in ("probe", "undo", "until"):
        found = step.get(key)
        if found and found.get("action"):
            yield key, found


def _references(reading: Reading, action: Mapping[str, Any], known: Mapping[str, str], tree: TreeMapping) -> None:
    kind = reading.actions[action["name"]]
    for key, value in action["spec"].items():
        if key in kind.verbatim:
            continue
        for name in references(value):
            if _known(reading, name, known, tree, "") and known[name] == "secret" and key not in kind.for_secrets:
                where = "env:" if "env" in kind.for_secrets else " or ".join(f"{each}:" for each in sorted(kind.for_secrets))
                message = f"the secret {name} would be seen by others in {action['name']}:"
                reading.wrong(_mention(tree, name) or tree.mark, message, f"give it in {where}")


def _known(reading: Reading, name: str, known: Mapping[str, str], tree: TreeMapping, key: str) -> bool:
    if name in known:
        return True
    mark = _mention(tree, name) or _place(tree, key) or tree.mark
    reading.wrong(mark, f"nothing before this step gives '{name}'", did_you_mean(name, known))
    return False


def _roles(reading: Reading, document: Mapping[str, Any], step: Mapping[str, Any], tree: TreeMapping) -> None:
    roles = document["roles"]
    for key in ("who", "by", "break_glass"):
        role = step.get(key)
        if role is not None and role not in roles:
            mark = _place(tree, key) or tree.mark
            reading.wrong(
                mark, f"the runbook has no role '{role}'", did_you_mean(role, roles) if roles else "add roles: to the front matter"
            )
    people = roles.get(step.get("by"), [])
    if step["kind"] == "approval" and people and len(people) < step["quorum"]:
        mark = _place(tree, "quorum") or tree.mark
        reading.wrong(mark, f"{step['quorum']} approvals cannot come of {len(people)} people", "name more people, or ask fewer")


def _parameters(reading: Reading, document: Mapping[str, Any], front: TreeMapping) -> None:
    for name, shape in document["parameters"].items():
        mark = _place(front, "parameters", name) or front.mark
        if shape["type"] == "choice" and not shape.get("of"):
            reading.wrong(mark, f"parameter {name} offers no choice", "add of: [one, another]")
        if shape["type"] == "secret" and "default" in shape:
            reading.wrong(mark, f"the secret {name} has a default", "name where it is kept: from: {env: NAME}")
        if shape["type"] != "secret" and "from" in shape:
            reading.wrong(mark, f"from: belongs to secrets; {name} is of type {shape['type']}", "write type: secret")
        if "pattern" in shape:
            try:
                re.compile(shape["pattern"])
            except re.error as error:
                reading.wrong(_place(front, "parameters", name, "pattern") or mark, f"no regular expression: {error}")


def _prerequisites(reading: Reading, document: Mapping[str, Any], front: TreeMapping) -> None:
    known = {name: shape["type"] for name, shape in document["parameters"].items()}
    for access in document["needs"]["access"]:
        if access.get("check"):
            _references(reading, access["check"]["action"], known, front)


def _paths(reading: Reading, step: Mapping[str, Any], tree: TreeMapping) -> None:
    for key in ("outputs", "expect"):
        for name, path in step.get(key, {}).items():
            text = path if key == "outputs" else name
            try:
                read_path(text)
            except ValueError as error:
                reading.wrong(_place(tree, key, name) or tree.mark, f"{key}: {error}", "write points[0].id, or text for all of it")


def _place(tree: TreeMapping, *path: str) -> Mark | None:
    node = tree
    mark = None
    for key in path:
        if not isinstance(node, TreeMapping) or key not in node.pairs:
            return None
        mark = node.pairs[key].mark
        node = node.pairs[key].value  # type: ignore[assignment]
    return mark


def _mention(tree: TreeMapping, name: str) -> Mark | None:
    """Where a reference is written."""
    for scalar in scalars(tree):
        if isinstance(scalar, Scalar) and isinstance(scalar.value, str):
            for found in REFERENCE.finditer(scalar.value):
                if found["name"] == name:
                    return scalar.mark
    return None
