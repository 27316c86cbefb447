"""Reads an action where one may stand: a step, ``probe:``, ``undo:``, ``until:``, ``check:``."""

from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import ValidationError

from holdfast.plan.checks.words import in_words
from holdfast.plan.errors import Mark, Problem, did_you_mean
from holdfast.plan.shape.base import Part
from holdfast.plan.source.tree import Mapping, Pair, Tree, locate, plain
from holdfast.runbooks.actions.contract import Action
from holdfast.runbooks.actions.registry import ACTIONS

P = TypeVar("P", bound=Part)


@dataclass
class Reading:
    """What is read with, and what was found wrong."""

    file: str
    actions: AnyMapping[str, Action] = field(default_factory=lambda: ACTIONS)
    problems: list[Problem] = field(default_factory=list)

    def wrong(self, mark: Mark, message: str, hint: str = "", *, severity: str = "error") -> None:
        self.problems.append(Problem(mark, "", message, hint, "warning" if severity == "warning" else "error"))

    def shaped(self, tree: Tree, model: type[P], whole: str, more: AnyMapping[str, Any] | None = None) -> P | None:
        """The tree as ``model``, or None and problems. ``more``: keys that are known besides the model's, for hints."""
        try:
            return model.model_validate(plain(tree))
        except ValidationError as error:
            known = list(more or ())
            self.problems += [in_words(tree, model, (), detail, whole=whole, more=known) for detail in error.errors(include_url=False)]
            return None

    def action(self, tree: Mapping, whole: str, *, needed: bool = True) -> dict[str, Any] | None:
        """``{"name", "spec"}`` of the one action in the mapping."""
        named = [key for key in tree.pairs if key in self.actions]
        if len(named) > 1:
            self.wrong(tree.pairs[named[1]].mark, f"{whole} has several actions: {', '.join(named)}", "make a step of each")
            return None
        if not named:
            if needed:
                close = [did_you_mean(key, self.actions) for key in tree.pairs]
                hint = next((each for each in close if each.startswith("did")), f"add one of {', '.join(self.actions)}")
                self.wrong(tree.mark, f"{whole} has no action", hint)
            return None
        name = named[0]
        action, pair = self.actions[name], tree.pairs[name]
        value = pair.value
        if not isinstance(value, Mapping):
            if action.short is None:
                self.wrong(value.mark, f"{name}: must be a mapping of keys to values", "see the page of the format")
                return None
            value = Mapping(value.mark, {action.short: Pair(value.mark, value)})
        shaped = self.shaped(value, action.shape, f"{name}:")
        if shaped is None:
            return None
        spec = shaped.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_defaults=False)
        for fault in action.examine(spec):
            _, _, mark, _ = locate(value, fault.path)
            self.wrong(mark, f"{name}: {fault.message}", fault.hint, severity=fault.severity)
        return {"name": name, "spec": spec}

    def without_action(self, tree: Mapping, *also: str) -> Mapping:
        """The mapping without what is read apart."""
        return Mapping(tree.mark, {key: pair for key, pair in tree.pairs.items() if key not in self.actions and key not in also})
