"""Does one action of a step: fills in values, finds secrets, hands it to its kind, takes outputs and expectations from what it gave."""

import contextlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from holdfast.errors import HoldfastError
from holdfast.model import Clock
from holdfast.plan.values.units import parse_duration
from holdfast.runbooks.actions.contract import RUN_MARK, STEP_MARK, Action, Call, Result
from holdfast.runbooks.actions.kept import Keeper
from holdfast.runbooks.actions.output import Redactor
from holdfast.runbooks.actions.registry import ACTIONS
from holdfast.runbooks.engine.state import RunState, StepState
from holdfast.runbooks.errors import RunLost
from holdfast.runbooks.format.insert import insert, references
from holdfast.runbooks.outputs import NotThere, differs, take

LARGEST_OUTPUT = 64 << 10
Began = Callable[[int], None]
Note = Callable[[Mapping[str, Any]], None]
SHORTEST_SECRET = 4  # shorter ones would blot out half of what is printed


def _nobody(_process: int) -> None:
    """Who started it does not ask."""


def _unsaid(_found: Mapping[str, Any]) -> None:
    """A look notes nothing."""


def _alone() -> None:
    """Nobody else can take the run."""


@dataclass(frozen=True)
class Bench:
    """What actions are done with. ``resolve``: a place → the secret; ``hidden``: further texts that are shown nowhere (the plan's own
    secrets in the environment).
    """

    program: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    clock: Clock
    resolve: Callable[[Mapping[str, Any]], str]
    hidden: Sequence[str] = ()
    actions: Mapping[str, Action] | None = None

    def call(
        self,
        state: RunState,
        step: str,
        doing: Mapping[str, Any],
        *,
        own: Mapping[str, Any] | None = None,
        began: Began = _nobody,
        note: Note | None = None,
        sure: Callable[[], None] | None = None,
        keeper: Keeper | None = None,
    ) -> Result:
        """Do it, once. ``doing`` has ``action``, and perhaps ``timeout``, ``expect``. Texts of the result hold no secret.

        What Holdfast itself could not do before anything was begun (a secret that cannot be read) is a failed result, too.
        """
        try:
            return self._call(state, step, doing, own or {}, began, note or _unsaid, sure or _alone, keeper)
        except RunLost:
            raise
        except HoldfastError as error:
            return Result("failed", None, error.message)

    def _call(
        self,
        state: RunState,
        step: str,
        doing: Mapping[str, Any],
        own: Mapping[str, Any],
        began: Began,
        note: Note,
        sure: Callable[[], None],
        keeper: Keeper | None,
    ) -> Result:
        secrets = list(self.hidden)
        action = (self.actions or ACTIONS)[doing["action"]["name"]]
        spec = doing["action"]["spec"]
        places = {name: state.parameters[name] for name, shape in state.document["parameters"].items() if shape["type"] == "secret"}

        def resolve(place: Mapping[str, Any]) -> str:
            text = self.resolve({key: value for key, value in place.items() if value is not None})
            secrets.extend(_parts(text))
            return text

        values = {**state.values(), **own}
        plain = {name: value for name, value in state.parameters.items() if name not in places}
        for name in dict.fromkeys(references([spec, doing.get("expect", {})])):
            if name in places:
                values[name] = resolve(places[name])
        # What the step does not use is hidden all the same, where it can be read without starting anything.
        for place in places.values():
            with contextlib.suppress(Exception):
                if "command" not in place:
                    resolve(place)
        timeout = parse_duration(doing.get("timeout", "1m")).total_seconds()
        marks = {RUN_MARK: state.id, STEP_MARK: step}
        # What a runbook needs is looked at before there is a step.
        stands = state.steps.get(step) or StepState(step)
        call = Call(
            values,
            secrets,
            timeout,
            self.clock,
            self.program,
            {**self.environment, **marks},
            self.directory,
            plain,
            resolve,
            began,
            note=note,
            noted=stands.note,
            attempt=stands.attempts,
            aborting=state.status == "aborting",
            sure=sure,
            keeper=keeper,
        )
        sure()
        result = action.run(spec, call)
        expect = doing.get("expect")
        if expect and result.outcome == "ok":
            why = differs(insert(expect, values), result.document, result.text)
            result = replace(result, answer=not why, outcome="failed" if why else "ok", message=why or result.message)
        clean = Redactor(text for text in secrets if len(text) >= SHORTEST_SECRET)
        return replace(
            result, message=clean.text(result.message), document=clean.value(result.document), text=result.text and clean.text(result.text)
        )


def outputs_of(spec: Mapping[str, Any], result: Result) -> tuple[dict[str, Any], str]:
    """(values by name, why one is missing)."""
    found: dict[str, Any] = {}
    for name, path in spec.get("outputs", {}).items():
        try:
            value = take(path, result.document, result.text)
        except NotThere as error:
            return found, f"output {name}: {error}"
        size = len(json.dumps(value))
        if size > LARGEST_OUTPUT:
            return found, f"output {name}: {size} bytes are too many for a value ({LARGEST_OUTPUT} at most)"
        found[name] = value
    return found, ""


def streams_of(result: Result) -> dict[str, Any]:
    """JSON-ready."""
    return {name: stream.to_json() for name, stream in result.streams.items()}


def _parts(secret: str) -> list[str]:
    """A secret, and the password in it where it is an address."""
    found = [secret]
    with contextlib.suppress(ValueError):
        if password := urlsplit(secret).password:
            found += [password, unquote(password)]
    for match in re.finditer(r"(?:password|passwd|pwd|token)\s*=\s*(?:'([^']+)'|([^\s;&]+))", secret, re.IGNORECASE):
        found.append(match[1] or match[2])
    return [text for text in found if len(text) >= SHORTEST_SECRET]
