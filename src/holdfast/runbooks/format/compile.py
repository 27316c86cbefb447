"""From a runbook's text to a snapshot: one JSON document that a run keeps, whatever becomes of the file, and its hash."""

import hashlib
import json
import re
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass
from typing import Any

from holdfast.plan.errors import Mark, Problem, did_you_mean
from holdfast.plan.source.reader import read
from holdfast.plan.source.tree import Items, Mapping, Pair, Scalar, Tree
from holdfast.plan.values.units import format_duration
from holdfast.runbooks.actions.contract import Action, Probing
from holdfast.runbooks.actions.registry import ACTIONS
from holdfast.runbooks.errors import RunbookInvalid
from holdfast.runbooks.format.doings import Reading
from holdfast.runbooks.format.links import check_links
from holdfast.runbooks.format.markdown import Block, Page, split
from holdfast.runbooks.format.shape import KINDS, Access, Approval, Automatic, Decision, Doing, Front, Human, Needs, Step, Undoing, Wait

FORMAT = 1
LARGEST = 1 << 20  # a page that no person reads
_APART = {"automatic": ("probe", "undo"), "human": ("undo",), "wait": ("until",)}  # keys that hold an action of their own


@dataclass(frozen=True)
class Snapshot:
    """``document`` is JSON-ready and complete: a run needs nothing else. ``problems`` are warnings."""

    document: AnyMapping[str, Any]
    page: Page
    problems: tuple[Problem, ...] = ()

    @property
    def name(self) -> str:
        return str(self.document["name"])

    @property
    def hash(self) -> str:
        return snapshot_hash(self.document)

    @property
    def steps(self) -> list[dict[str, Any]]:
        return list(self.document["steps"])


def snapshot_hash(document: AnyMapping[str, Any]) -> str:
    """``sha256:`` and the SHA-256 in hex of the canonical JSON (keys sorted, no spaces, ASCII)."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def compile_text(text: str, file: str, actions: AnyMapping[str, Action] = ACTIONS) -> Snapshot:
    """Raises RunbookInvalid with every error."""
    snapshot, problems = examine(text, file, actions)
    if snapshot is None:
        raise RunbookInvalid(problems)
    return snapshot


def examine(text: str, file: str, actions: AnyMapping[str, Action] = ACTIONS) -> tuple[Snapshot | None, list[Problem]]:
    """The snapshot (None where there are errors) and every problem, warnings too, in the order of the file."""
    if len(text) > LARGEST:
        return None, [Problem(Mark(file, 1, 1), "", f"{len(text)} characters are no page", f"at most {LARGEST}; make several runbooks")]
    page, problems = split(text, file)
    if problems and not page.front:
        return None, problems
    reading = Reading(file, actions, problems)
    tree, found = read(page.front, file, what="a runbook's front matter", begin="runbook: NAME")
    reading.problems += found
    front, access = _front(reading, tree)
    steps = [step for block in page.blocks if (step := _step(reading, block)) is not None]
    if not page.blocks:
        reading.wrong(Mark(file, page.body, 1), "the runbook has no step", "add a block that begins with ```step")
    document = None
    if front is not None:
        document = _document(front, access, [step for step, _ in steps], text)
        if len(steps) == len(page.blocks):  # else what a broken step gives would be missed in every later one
            check_links(reading, document, {step["id"]: tree for step, tree in steps}, tree)
    ordered = sorted(dict.fromkeys(reading.problems), key=lambda problem: (problem.mark, problem.message))
    if document is None or any(problem.severity == "error" for problem in ordered):
        return None, ordered
    return Snapshot(document, page, tuple(ordered)), ordered


def _front(reading: Reading, tree: Mapping) -> tuple[Front | None, list[dict[str, Any]]]:
    pair = tree.pairs.get("needs")
    front = reading.shaped(Mapping(tree.mark, _left(tree, ("needs",))), Front, "the front matter")
    if pair is None:
        return front, []
    if not isinstance(pair.value, Mapping):
        reading.wrong(pair.mark, "needs: a mapping of keys to values belongs here", "write access:, tools: and information: below it")
        return front, []
    listed = pair.value.get("access")
    items = listed.values if isinstance(listed, Items) else [listed] if listed is not None else []
    needs = reading.shaped(Mapping(pair.value.mark, _left(pair.value, ("access",))), Needs, "needs:", {"access": None})
    access = [_access(reading, item) for item in items]
    return (front.model_copy(update={"needs": needs}) if front and needs else front), access


def _access(reading: Reading, item: Tree) -> dict[str, Any]:
    if isinstance(item, Scalar):
        return {"text": str(item.value)}
    if not isinstance(item, Mapping):
        reading.wrong(item.mark, "access is text, or {text: …, check: …}")
        return {"text": ""}
    shaped = reading.shaped(
        Mapping(item.mark, {key: pair for key, pair in item.pairs.items() if key != "check"}), Access, "access", {"check": None}
    )
    found: dict[str, Any] = {"text": shaped.text if shaped else ""}
    if "check" in item.pairs:
        found["check"] = _doing(reading, item.pairs["check"].value, "check")
    return found


def _step(reading: Reading, block: Block) -> tuple[dict[str, Any], Mapping] | None:
    tree, problems = read(block.placed, reading.file, what="a step", begin="id: NAME")
    reading.problems += problems
    if problems:
        return None
    mark = Mark(reading.file, block.first - 1, 1)
    if not tree.pairs:
        reading.wrong(mark, "this step says nothing", "begin with id:, then what is done")
        return None
    given = tree.get("kind")
    kind = str(given.value) if isinstance(given, Scalar) else "automatic"
    model = KINDS.get(kind)
    if model is None:
        assert given is not None
        reading.wrong(given.mark, f"'{kind}' is no kind of step", did_you_mean(kind, KINDS))
        return None
    apart = _APART.get(kind, ())
    known = {**(reading.actions if kind == "automatic" else {}), **dict.fromkeys(apart)}
    bare = reading.without_action(tree, *apart) if kind == "automatic" else Mapping(tree.mark, _left(tree, apart))
    bare.mark = mark
    shaped = reading.shaped(bare, model, "the step", known)
    action = reading.action(tree, "the step") if kind == "automatic" else None
    further = {key: _further(reading, key, tree.pairs[key].value) for key in apart if key in tree.pairs}
    if kind == "wait" and "until" not in tree.pairs:
        reading.wrong(mark, "this step waits for nothing", "add until: with a check")
    if shaped is None or (kind == "automatic" and action is None):
        return None
    return _compiled(reading, shaped, action, further, block, tree), tree


def _left(tree: Mapping, apart: tuple[str, ...]) -> dict[str, Pair]:
    return {key: pair for key, pair in tree.pairs.items() if key not in apart}


def _further(reading: Reading, key: str, tree: Tree) -> dict[str, Any] | None:
    if key != "undo":
        return _doing(reading, tree, key)
    if not isinstance(tree, Mapping):
        reading.wrong(tree.mark, "undo: is a mapping with an action", "write undo: {shell: …}, or undo: {do: what a person does}")
        return None
    shaped = reading.shaped(reading.without_action(tree), Undoing, "undo:", reading.actions)
    action = reading.action(tree, "undo:", needed=shaped is not None and shaped.do is None)
    if shaped is None:
        return None
    if shaped.do is not None and action is not None:
        reading.wrong(tree.mark, "undo: has an action and do:", "keep one of them")
    return {"do": shaped.do} if shaped.do is not None else {"action": action, "timeout": format_duration(shaped.timeout)}


def _doing(reading: Reading, tree: Tree, whole: str) -> dict[str, Any] | None:
    """A check: an action that only looks, and what its JSON must show."""
    if not isinstance(tree, Mapping):
        reading.wrong(tree.mark, f"{whole}: is a mapping with an action", f"write {whole}: {{command: […]}}")
        return None
    shaped = reading.shaped(reading.without_action(tree), Doing, f"{whole}:", reading.actions)
    action = reading.action(tree, f"{whole}:")
    if shaped is None or action is None:
        return None
    _expects(reading, shaped.expect, tree)
    return {"action": action, "timeout": format_duration(shaped.timeout), **({"expect": shaped.expect} if shaped.expect else {})}


def _expects(reading: Reading, expect: AnyMapping[str, Any] | None, tree: Mapping) -> None:
    if expect is not None and not expect:
        reading.wrong(tree.pairs["expect"].mark, "expect: names nothing, so it would always pass", "name a value, or leave it out")


def _compiled(
    reading: Reading, step: Step, action: dict[str, Any] | None, further: dict[str, Any], block: Block, tree: Mapping
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "id": step.id,
        "title": step.title or re.sub(r"[-_]+", " ", step.id).capitalize(),
        "kind": getattr(step, "kind", "automatic"),
        "section": block.section,
        "line": block.first - 1,
        **({"when": _conditions(step.when)} if step.when else {}),
        **{key: value for key, value in further.items() if value is not None},
    }
    if isinstance(step, Automatic):
        assert action is not None
        kind = reading.actions[action["name"]]
        asks = kind.probe(action["spec"]) if "probe" not in found and isinstance(kind, Probing) else None
        if asks is not None:
            found["probe"] = {"action": {"name": action["name"], "spec": dict(asks)}, "timeout": "1m"}
        known = reading.actions[action["name"]].repeatable(action["spec"])
        repeatable = known if step.repeatable is None else step.repeatable
        found |= {"action": action, "timeout": format_duration(step.timeout), "repeatable": repeatable}
        if step.outputs:
            found["outputs"] = dict(step.outputs)
        _expects(reading, step.expect, tree)
        if step.expect:
            found["expect"] = dict(step.expect)
        if step.retry is not None:
            found["retry"] = {"times": step.retry.times, "delay": format_duration(step.retry.delay)}
            if not repeatable and "probe" not in found:
                hint = "add a probe: that tells whether it happened, or repeatable: true where doing it twice does no harm"
                reading.wrong(tree.pairs["retry"].mark, "a step that changes something is not tried again blindly", hint)
        if not repeatable and "probe" not in found:
            hint = "add a probe:, or repeatable: true"
            reading.wrong(
                Mark(reading.file, block.first - 1, 1),
                f"nobody can tell whether step {step.id} happened if it is killed: a person will be asked",
                hint,
                severity="warning",
            )
    elif isinstance(step, Human):
        found |= {"do": step.do, "who": step.who, "note": step.note}
    elif isinstance(step, Decision):
        found |= {"ask": step.ask, "choose": dict(step.choose), "who": step.who}
        if len(step.choose) < 2:
            reading.wrong(tree.pairs["choose"].mark, "a decision needs two choices at least", "add one, or make it a human step")
    elif isinstance(step, Approval):
        found |= {"ask": step.ask, "by": step.by, "quorum": step.quorum, "expires": format_duration(step.expires)}
        found["break_glass"] = step.break_glass
    elif isinstance(step, Wait):
        found |= {"every": format_duration(step.every), "timeout": format_duration(step.timeout)}
    return found


def _conditions(when: AnyMapping[str, Any]) -> dict[str, list[Any]]:
    return {name: list(value) if isinstance(value, tuple | list) else [value] for name, value in when.items()}


def _document(front: Front, access: list[dict[str, Any]], steps: list[dict[str, Any]], text: str) -> dict[str, Any]:
    said = {
        "purpose": front.purpose,
        "affects": list(front.affects),
        "trigger": front.trigger,
        "rto": format_duration(front.rto) if front.rto is not None else None,
        "rpo": format_duration(front.rpo) if front.rpo is not None else None,
        "severity": front.severity,
        "owner": front.owner,
    }
    return {
        "format": FORMAT,
        "name": front.runbook,
        "title": front.title,
        "systems": list(front.systems),
        **said,
        "parameters": {name: shape.model_dump(mode="json", by_alias=True, exclude_none=True) for name, shape in front.parameters.items()},
        "roles": {name: list(people) for name, people in front.roles.items()},
        "accounts": front.accounts,
        "needs": {
            "access": access,
            "tools": [tool.model_dump(exclude_none=True) for tool in front.needs.tools],
            "information": list(front.needs.information),
        },
        "steps": steps,
        "source": text,
    }
