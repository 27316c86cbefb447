"""What a run would do, with the values that are known before it begins. Nothing is started, no secret is read."""

from collections.abc import Mapping
from typing import Any

from holdfast.runbooks.actions.contract import Action
from holdfast.runbooks.actions.registry import ACTIONS
from holdfast.runbooks.format.insert import REFERENCE, as_text, references, whole
from holdfast.runbooks.format.page import variable


def rehearse(document: Mapping[str, Any], parameters: Mapping[str, Any], actions: Mapping[str, Action] = ACTIONS) -> list[dict[str, Any]]:
    """For each step: ``step``, ``kind``, ``title``, ``does`` (as a person would type or do it), ``undo``, ``probe``, ``timeout``, ``when``;
    ``left_out`` says why a condition on parameters already rules it out.
    """
    secret = {name for name, shape in document["parameters"].items() if shape["type"] == "secret"}
    values = {name: value for name, value in parameters.items() if name not in secret}
    return [_step(step, values, actions) for step in document["steps"]]


def _step(step: Mapping[str, Any], values: Mapping[str, Any], actions: Mapping[str, Action]) -> dict[str, Any]:
    def told(doing: Mapping[str, Any] | None) -> str | None:
        if not doing:
            return None
        if doing.get("do"):
            return str(known(doing["do"], values))
        action = actions[doing["action"]["name"]]
        spec = {key: value if key in action.verbatim else known(value, values) for key, value in doing["action"]["spec"].items()}
        return action.told(spec, variable)

    ruled_out = [
        f"{name} is {values[name]}" for name, wanted in step.get("when", {}).items() if name in values and values[name] not in wanted
    ]
    does = (
        told(step) if step.get("action") else told(step.get("until")) if step.get("until") else known(step.get("do") or step["ask"], values)
    )
    return {
        "step": step["id"],
        "kind": step["kind"],
        "title": step["title"],
        "does": does,
        "probe": told(step.get("probe")),
        "undo": told(step.get("undo")),
        "timeout": step.get("timeout") or step.get("expires"),
        "when": step.get("when", {}),
        "left_out": "; ".join(ruled_out) or None,
    }


def known(value: Any, values: Mapping[str, Any]) -> Any:
    """With what is known inserted; other references stay."""
    if isinstance(value, str):
        name = whole(value)
        if name is not None and name in values:
            return values[name] if not isinstance(values[name], str) else values[name].replace("${", "$${")
        return REFERENCE.sub(
            lambda found: as_text(values[found["name"]]).replace("${", "$${") if found["name"] in values else found[0], value
        )
    if isinstance(value, Mapping):
        return {key: known(each, values) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [as_text(each) if not any(references(each)) else each for each in (known(each, values) for each in value)]
    return value
