"""What comes next in a run. Pure: a function of its state and the time.

The promise: a step that changes something is started only when it never was, or when its probe or a person says that it did not happen;
an undo only of what ran, once, in reverse.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from holdfast.plan.values.units import parse_duration
from holdfast.runbooks.actions.registry import ACTIONS
from holdfast.runbooks.engine.state import SETTLED, RunState, StepState
from holdfast.runbooks.format.insert import references

Do = Literal["start", "probe", "request", "ask", "skip", "expire", "stop", "undo", "undo_probe", "end", "over"]


@dataclass(frozen=True, slots=True)
class Next:
    """``what`` of an ask: confirm, choose, approve, settle, output, undo_confirm, undo_settle. ``text``: why, or for what.

    ``delay``: seconds to wait before.
    """

    do: Do
    step: str = ""
    what: str = ""
    text: str = ""
    delay: float = 0.0
    missing: tuple[str, ...] = ()


def decide(state: RunState, now: dt.datetime) -> Next:
    """The one next thing."""
    if state.status == "ended":
        return Next("over")
    if state.status == "aborting":
        return _undoing(state)
    for spec in state.document["steps"]:
        step = state.steps[spec["id"]]
        if step.phase not in SETTLED:
            return _of_step(state, spec, step, now)
    return Next("end", what="done")


def _of_step(state: RunState, spec: Mapping[str, Any], step: StepState, now: dt.datetime) -> Next:
    if step.phase in ("pending", "again"):
        unmet = _unmet(state, spec)
        if unmet:
            return Next("skip", step.id, text=unmet)
        lacking = _lacking(state, spec)
        if lacking:
            return _ask_output(state, step, lacking)
        return _begin(spec, step)
    if step.phase == "requested":
        assert step.expires is not None
        if now >= step.expires:
            return Next("expire", step.id)
        return Next("ask", step.id, "approve", spec["ask"])
    if step.phase == "expired":
        return Next("stop", step.id, text=f"nobody approved within {spec['expires']}; resume asks again")
    if step.phase == "failed":
        return _failed(spec, step)
    return _uncertain(spec, step)


def _begin(spec: Mapping[str, Any], step: StepState) -> Next:
    if spec["kind"] == "human":
        return Next("ask", step.id, "confirm", spec["do"])
    if spec["kind"] == "decision":
        return Next("ask", step.id, "choose", spec["ask"])
    if spec["kind"] == "approval":
        return Next("request", step.id)
    delay = _seconds(spec["retry"]["delay"]) if step.tries and spec.get("retry") else 0.0
    return Next("start", step.id, delay=delay)


def _failed(spec: Mapping[str, Any], step: StepState) -> Next:
    retry = spec.get("retry")
    if retry and step.tries <= retry["times"]:
        if spec.get("repeatable"):
            return Next("start", step.id, delay=_seconds(retry["delay"]))
        if spec.get("probe") and not step.answer:
            return Next("probe", step.id, delay=_seconds(retry["delay"]))
    return Next("stop", step.id, text=step.message or "it failed")


def _uncertain(spec: Mapping[str, Any], step: StepState) -> Next:
    """Begun, and its end is not known."""
    if spec["kind"] == "wait" or spec.get("repeatable"):
        return Next("start", step.id)
    if spec.get("probe") and not step.answer:
        return Next("probe", step.id)
    return Next("ask", step.id, "settle", f"Did '{spec['title']}' happen? It was begun, and nobody knows how it ended.")


def _undoing(state: RunState) -> Next:
    ran = sorted((step for step in state.steps.values() if step.order is not None), key=lambda step: -(step.order or 0))
    for step in ran if state.undo else ():
        spec = state.spec(step.id)
        undo = spec.get("undo")
        if not undo or step.phase in ("skipped", "again") or step.undo in ("undone", "skipped"):
            continue
        if step.phase != "done":
            # Whether there is anything to undo comes first.
            if spec.get("probe") and not step.answer:
                return Next("probe", step.id)
            return Next("ask", step.id, "settle", f"Did '{spec['title']}' happen? Only then it is undone.")
        return _undo(state, spec, step)
    return Next("end", what="aborted")


def _undo(state: RunState, spec: Mapping[str, Any], step: StepState) -> Next:
    undo = spec["undo"]
    if undo.get("do"):
        return Next("ask", step.id, "undo_confirm", undo["do"])
    if step.undo == "failed":
        return Next("stop", step.id, text=f"its undo failed: {step.message}")
    if step.undo in ("running", "uncertain"):
        if spec.get("probe") and not step.undo_answer:
            return Next("undo_probe", step.id)
        return Next("ask", step.id, "undo_settle", f"Was '{spec['title']}' undone? It was begun, and nobody knows how it ended.")
    lacking = tuple(name for name in _needed(state, undo["action"]) if name not in state.values())
    return _ask_output(state, step, lacking) if lacking else Next("undo", step.id)


def _ask_output(state: RunState, step: StepState, lacking: tuple[str, ...]) -> Next:
    """A value that a step would have given, had it been seen to end."""
    source = lacking[0].partition(".")[0]
    if source not in state.steps:
        return Next("stop", step.id, text=f"there is no value for {', '.join(lacking)}")
    return Next("ask", source, "output", f"What did it give? {', '.join(lacking)} is needed by {step.id}.", missing=lacking)


def _needed(state: RunState, value: Any) -> Iterator[str]:
    secret = {name for name, shape in state.document["parameters"].items() if shape["type"] == "secret"}
    for name in _inserted(value):
        if name not in secret:
            yield name


def _inserted(value: Any) -> Iterator[str]:
    """References, but those that only look so: in a script ``${…}`` is the shell's own."""
    if isinstance(value, Mapping) and value.keys() >= {"name", "spec"} and value["name"] in ACTIONS:
        verbatim = ACTIONS[value["name"]].verbatim
        yield from references({key: each for key, each in value["spec"].items() if key not in verbatim})
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _inserted(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _inserted(each)
    else:
        yield from references(value)


def _lacking(state: RunState, spec: Mapping[str, Any]) -> tuple[str, ...]:
    own = {f"{spec['id']}.{name}" for name in spec.get("outputs", {})}
    values = state.values()
    said = [spec.get("action"), spec.get("expect"), spec.get("probe"), spec.get("until"), spec.get("do"), spec.get("ask")]
    return tuple(dict.fromkeys(name for name in _needed(state, said) if name not in values and name not in own))


def _unmet(state: RunState, spec: Mapping[str, Any]) -> str:
    """Why its condition does not hold; empty when it does."""
    values = state.values()
    for name, wanted in spec.get("when", {}).items():
        if name not in values:
            return f"{name} was never decided"
        if values[name] not in wanted or isinstance(values[name], bool) != isinstance(wanted[0], bool):
            return f"{name} is {values[name]}, not {' or '.join(map(str, wanted))}"
    return ""


def _seconds(text: str) -> float:
    return parse_duration(text).total_seconds()
