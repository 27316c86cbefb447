"""What the steps of a drill's runbook are given: the vault's secrets and no others, a folder, actions that look where they go."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.drills.errors import DrillUsage
from holdfast.drills.runbook import playable
from holdfast.errors import HoldfastError
from holdfast.plan.shape.base import Part
from holdfast.plan.values.secret import SecretRef
from holdfast.runbooks.actions.commands import filled
from holdfast.runbooks.actions.contract import Action, Call, Fault, Result
from holdfast.runbooks.actions.registry import ACTIONS
from holdfast.runbooks.engine.work import SHORTEST_SECRET, Bench
from holdfast.runbooks.format.insert import insert

if TYPE_CHECKING:
    from holdfast.assembly.platform import Platform

FOLDER = "drill-runbook-"
DRILL = "HOLDFAST_DRILL"
"""What is said inside of a drill is marked as one by it."""
REFUSED = "a drill does not do this: "


def secret_places(tree: Any) -> Iterator[tuple[str, str]]:
    """(env or file, name or path) of the secrets that a plan's plain data names."""
    waiting = [tree]
    while waiting:
        value = waiting.pop()
        if isinstance(value, Mapping):
            waiting += value.values()
            for kind in ("env", "file"):
                if set(value) == {kind} and isinstance(value[kind], str):
                    yield kind, value[kind]
        elif isinstance(value, list | tuple):
            waiting += value


def environment(platform: "Platform", drill: str) -> dict[str, str]:
    """Without what opens the systems, their channels or a drill's targets: recovery needs the vault and its key."""
    merged = platform.plan.merged
    of_vault = {name for kind, name in secret_places(merged.get("vault")) if kind == "env"}
    others = {name for kind, name in secret_places({key: one for key, one in merged.items() if key != "vault"}) if kind == "env"}
    found = {name: value for name, value in platform.environ.items() if name in of_vault or name not in others}
    beside = Path(sys.executable).parent
    if shutil.which("holdfast", path=found.get("PATH")) is None and (beside / "holdfast").is_file():
        found["PATH"] = os.pathsep.join([*filter(None, [found.get("PATH")]), str(beside)])
    return {**found, DRILL: drill} if drill else found


def hidden(platform: "Platform") -> list[str]:
    """Texts of the plan's secrets that a step could print."""
    found = []
    for kind, name in secret_places(platform.plan.merged):
        if kind == "env":
            found.append(platform.environ.get(name, ""))
        else:
            try:
                path = platform.plan.resolve(name)
                found.append(path.read_text(encoding="utf-8").strip() if path.stat().st_size < 1 << 16 else "")
            except (OSError, UnicodeDecodeError):
                continue
    return [text for text in found if len(text) >= SHORTEST_SECRET]


def bench(platform: "Platform", drill: str, look: "Look", settings: Sequence[str] = ()) -> Bench:
    """``settings``: as given with ``--set``."""
    from holdfast.connect.secrets import resolve

    plan, environ = platform.plan, environment(platform, drill)
    program = [sys.executable, "-m", "holdfast.interfaces.cli.main", "--plan", str(plan.path.absolute())]
    program += [word for setting in settings for word in ("--set", setting)]

    def secret(place: Mapping[str, Any]) -> str:
        return resolve(SecretRef.model_validate(dict(place)), base=plan.path.parent, environ=environ)

    guarded: dict[str, Action] = {name: Guarded(action, look) for name, action in ACTIONS.items()}
    return Bench(program, environ, plan.path.parent.absolute(), platform.clock, secret, hidden=tuple(hidden(platform)), actions=guarded)


def place(platform: "Platform") -> Path:
    """Where a drill's own folders lie: beside the isolated copies."""
    sandbox = platform.plan.document.sandbox
    if sandbox is not None:
        return platform.plan.resolve(sandbox.directory)
    given = platform.environ.get("HOLDFAST_SANDBOX")
    return Path(given or Path(tempfile.gettempdir()) / f"holdfast-{os.geteuid()}")


def made(platform: "Platform", folder: Path) -> None:
    """A new folder that servers' accounts may pass through. Raises DrillUsage where, without a place in the plan, others could have put
    something in its way.
    """
    above = folder.parent
    above.mkdir(mode=0o711, parents=True, exist_ok=True)
    status = above.lstat()
    if platform.plan.document.sandbox is None and (above.is_symlink() or status.st_uid != os.geteuid()):
        raise DrillUsage(f"{above} belongs to somebody else: a drill makes nothing there.", hint="Set sandbox.directory in the plan.")
    folder.mkdir(mode=0o711)


Look = Callable[[str, Mapping[str, Any], Call], str]
"""(kind of action, its spec, the call) → why it is not done, "" where it is."""


class Guarded:
    """An action that is looked at, with its values filled in, right before it is done. Satisfies ``runbooks.actions.contract.Action``."""

    def __init__(self, inner: Action, look: Look) -> None:
        self._inner, self._look = inner, look
        self.name: str = inner.name
        self.shape: type[Part] = inner.shape
        self.short: str | None = inner.short
        self.verbatim: frozenset[str] = inner.verbatim
        self.for_secrets: frozenset[str] = inner.for_secrets

    def examine(self, spec: Mapping[str, Any]) -> list[Fault]:
        return self._inner.examine(spec)

    def repeatable(self, spec: Mapping[str, Any]) -> bool:
        return self._inner.repeatable(spec)

    def told(self, spec: Mapping[str, Any], variable: Callable[[str], str]) -> str:
        return self._inner.told(spec, variable)

    def run(self, spec: Mapping[str, Any], call: Call) -> Result:
        why = self._look(self.name, spec, call)
        return Result("failed", None, REFUSED + why) if why else self._inner.run(spec, call)


def looking(into: Path, incident: str, document: Mapping[str, Any]) -> Look:
    """Places of restores and servers of SQL must lie in ``into``; incidents must be this drill's: ``incident``, or declared by a step of
    ``document``, the runbook's.
    """
    declaring = {
        step["id"]
        for step in document["steps"]
        for action in playable.actions(step)
        if action["name"] == "holdfast" and list(action["spec"]["argv"][:2]) == ["incident", "declare"]
    }

    def look(kind: str, spec: Mapping[str, Any], call: Call) -> str:
        if kind == "holdfast":
            try:
                argv = filled(spec["argv"], call)
            except ValueError:
                return ""  # the action says so itself
            given = (str(value) for name, value in call.values.items() if name.partition(".")[0] in declaring)
            own = [*filter(None, [incident]), *given]
            return playable.command(argv) or playable.outside(argv, into) or playable.strange_incident(argv, own)
        return _strange_server(spec, call, into) if kind == "sql" else ""

    return look


def _strange_server(spec: Mapping[str, Any], call: Call, into: Path) -> str:
    from holdfast.connect.sql import run_sql

    place = spec.get("dsn", {})
    try:
        address = str(insert(place["literal"], call.values)) if place.get("literal") is not None else call.secret(place)
        overrides = {name: insert(spec.get(name), call.values) for name in ("host", "port", "dbname", "user", "password")}
        [[folder]] = run_sql(address, "select current_setting('data_directory')", {}, timeout=60.0, overrides=overrides).rows
    except HoldfastError as error:
        return f"which server the statement would reach cannot be told: {error.message}"
    if Path(str(folder)).resolve().is_relative_to(into.resolve()):
        return ""
    return f"the statement would go to the server of {folder}, which did not come back in this drill"
