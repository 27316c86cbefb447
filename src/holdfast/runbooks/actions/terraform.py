"""``terraform``: by the user's own terraform or tofu. What is applied is the very plan that was shown and agreed to, or nothing."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from holdfast.plan.shape.base import Part
from holdfast.plan.shape.types import OneOrMany, Text
from holdfast.runbooks.actions.commands import in_words
from holdfast.runbooks.actions.contract import Call, Fault, Result
from holdfast.runbooks.actions.programs import ProgramFailed, Programs, filled
from holdfast.runbooks.format.insert import as_text, insert, references
from holdfast.runbooks.outputs import read_json

HIDDEN = "[sensitive]"


class TerraformPart(Part):
    """``directory``: of the configuration. ``plan`` and ``sha256``: what ``do: plan`` gave. ``variables`` travel in the environment."""

    do: Literal["plan", "apply", "outputs"]
    directory: Text
    program: Literal["terraform", "tofu"] | None = None
    workspace: Text = "default"
    variables: dict[str, str | int | float | bool] = Field(default_factory=dict)
    var_files: Annotated[tuple[Text, ...], OneOrMany()] = ()
    plan: Text | None = None
    sha256: Text | None = None
    may_destroy: bool = False
    lock_timeout: Annotated[int, Field(ge=0, le=86_400, strict=True)] = 0


class Terraform:
    name = "terraform"
    shape: type[Part] = TerraformPart
    short: str | None = None
    verbatim: frozenset[str] = frozenset()
    for_secrets = frozenset({"variables"})

    def examine(self, spec: Mapping[str, Any]) -> list[Fault]:
        faults = []
        if spec["do"] == "apply":
            hint = "outputs: {plan: plan, sha256: sha256} of the step that plans; then plan: ${ID.plan}, sha256: ${ID.sha256}"
            faults += [
                Fault(("do",), f"apply needs {key}: it applies a saved plan alone", hint) for key in ("plan", "sha256") if not spec.get(key)
            ]
        faults += [
            Fault(("variables", name), f"'{name}' is no name of a variable")
            for name in spec.get("variables", {})
            if not name.isidentifier()
        ]
        if any(references(spec["directory"])):
            faults.append(Fault(("directory",), "the configuration itself is inserted", "name the folder; insert variables only"))
        return faults

    def repeatable(self, spec: Mapping[str, Any]) -> bool:
        return bool(spec["do"] != "apply")

    def probe(self, spec: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Whether everything is as the configuration says: then it happened. Anything else a person has to look at."""
        return {**spec, "look": True} if spec["do"] == "apply" else None

    def told(self, spec: Mapping[str, Any], variable: Callable[[str], str]) -> str:
        program = spec.get("program") or "terraform"
        env = "".join(f"export TF_VAR_{name}={in_words([as_text(value)], variable)}\n" for name, value in spec.get("variables", {}).items())
        env += (
            f"export TF_WORKSPACE={in_words([spec.get('workspace', 'default')], variable)}\ncd {in_words([spec['directory']], variable)}\n"
        )
        files = [f"-var-file={name}" for name in spec.get("var_files", ())]
        words = {
            "plan": [program, "plan", "-input=false", *files, "-out=PLAN"],
            "apply": [program, "apply", "-input=false", str(spec.get("plan"))],
            "outputs": [program, "output"],
        }[spec["do"]]
        return env + in_words(words, variable)

    def run(self, spec: Mapping[str, Any], call: Call) -> Result:
        try:
            work = _Work(spec, call)
        except ProgramFailed as error:
            return Result("failed", None, error.message)
        try:
            return {"plan": _plan, "apply": _look if spec.get("look") else _apply, "outputs": _outputs}[spec["do"]](work)
        except ProgramFailed as error:
            failed = work.program.failure(error)
            return replace(failed, message=_with_lock(failed.message, work.program.program))
        except OSError as error:
            return Result("failed", None, f"{error.filename}: {error.strerror}", work.program.streams)


class _Work:
    def __init__(self, spec: Mapping[str, Any], call: Call) -> None:
        self.spec, self.call = spec, call
        self.folder = call.directory / Path(filled(spec, "directory", call)).expanduser()
        if not any(self.folder.glob("*.tf")) and not any(self.folder.glob("*.t[fo]*.json")) and not any(self.folder.glob("*.tofu")):
            raise ProgramFailed(f"{self.folder} holds no configuration")
        path = call.environment.get("PATH")
        name = spec.get("program") or (
            "tofu" if shutil.which("terraform", path=path) is None and shutil.which("tofu", path=path) else "terraform"
        )
        variables = {f"TF_VAR_{key}": as_text(value) for key, value in insert(spec.get("variables", {}), call.values).items()}
        self.workspace = filled(spec, "workspace", call, "default")
        # Words that somebody's shell adds to each command could turn off what is relied on here (-lock=false).
        quiet = {key: "" for key in call.environment if key.startswith("TF_CLI_ARGS")}
        fixed = {"TF_IN_AUTOMATION": "1", "TF_INPUT": "0", "CHECKPOINT_DISABLE": "1", "TF_WORKSPACE": self.workspace, "NO_COLOR": "1"}
        self.program = Programs(name, call, self.folder, {**quiet, **fixed, **variables})
        self.files = [
            f"-var-file={call.directory / Path(as_text(one)).expanduser()}" for one in insert(spec.get("var_files", ()), call.values)
        ]

    def init(self) -> None:
        self.program.run("init", "-input=false", "-no-color", quiet=True)

    @property
    def lock(self) -> str:
        return f"-lock-timeout={self.spec.get('lock_timeout', 0)}s"

    def file(self, name: str) -> Path:
        """Of this step of this run."""
        return self.folder / ".terraform" / f"holdfast-{self.call.mark}-{name}"

    def clear(self, *but: Path) -> None:
        """What earlier doings of this step left when they were killed: copies of plans, which hold secrets in plain."""
        for path in (self.folder / ".terraform").glob(f"holdfast-{self.call.mark}-*.*"):
            if path not in but and re.fullmatch(r"[0-9]+\.(tfplan|apply)", path.name.removeprefix(f"holdfast-{self.call.mark}-")):
                path.unlink(missing_ok=True)

    def private(self, path: Path) -> Path:
        """A new file that this account alone may read: plans hold secrets in plain."""
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_EXCL | os.O_CLOEXEC, 0o600))
        return path

    def changes(self, path: Path) -> dict[str, list[str]]:
        """Addresses by what the saved plan does to them."""
        document = read_json(self.program.run("show", "-json", "-no-color", str(path), quiet=True).text)
        if not isinstance(document, dict) or "format_version" not in document:
            raise ProgramFailed(f"{self.program.program} show gave no plan that can be read")
        found: dict[str, list[str]] = {"add": [], "change": [], "destroy": [], "replace": []}
        for one in document.get("resource_changes", ()):
            does = one["change"]["actions"]
            kind = (
                "replace"
                if "delete" in does and "create" in does
                else {"create": "add", "update": "change", "delete": "destroy"}.get(does[0])
            )
            if kind:
                found[kind].append(str(one["address"]))
        return found

    def refuse_to_destroy(self, found: Mapping[str, list[str]]) -> None:
        goes = [*found["destroy"], *found["replace"]]
        if goes and not self.spec.get("may_destroy"):
            raise ProgramFailed(f"the plan destroys {', '.join(goes[:20])}: refused; say may_destroy: true where that is meant")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _plan(work: _Work) -> Result:
    work.init()
    work.clear()
    path = work.private(work.file(f"{work.call.attempt}.tfplan"))
    words = ["plan", "-input=false", "-no-color", "-detailed-exitcode", work.lock, *work.files, f"-out={path}"]
    try:
        ended = work.program.run(*words, codes=(0, 2))
        found = work.changes(path)
        work.refuse_to_destroy(found)
    except ProgramFailed:
        path.unlink(missing_ok=True)
        raise
    path.chmod(0o600)
    document = {"plan": str(path), "sha256": _digest(path), "changes": ended.code == 2, "workspace": work.workspace, **found}
    return work.program.result(document, text=ended.text)


def _apply(work: _Work) -> Result:
    """A copy that nobody else can change between the look at its sum and its use."""
    given = work.call.directory / filled(work.spec, "plan", work.call)
    wanted = filled(work.spec, "sha256", work.call)
    if not given.is_file():
        raise ProgramFailed(f"there is no saved plan {given}: it was made on another host, or removed; plan anew")
    copy = work.file(f"{work.call.attempt}.apply")
    work.clear(copy)
    try:
        if work.call.keeper is None or not work.call.keeper.attach or not copy.is_file():
            # Where what applies it is waited for, it may be about to read it.
            shutil.copyfile(given, work.private(copy))
        found = _digest(copy)
        if found != wanted:
            raise ProgramFailed(f"the saved plan has SHA-256 {found}, not {wanted}: it is not the one that was shown; nothing was applied")
        changes = work.changes(copy)
        work.refuse_to_destroy(changes)
        work.call.sure()
        ended = work.program.run("apply", "-input=false", "-no-color", work.lock, str(copy), changes=True)
    finally:
        copy.unlink(missing_ok=True)
    given.unlink(missing_ok=True)
    return work.program.result({"applied": wanted, "workspace": work.workspace, **changes}, text=ended.text)


def _look(work: _Work) -> Result:
    """What an apply that was killed left is of no use to anybody: it is not begun again with it; the plan that it applied neither."""
    work.clear()
    ended = work.program.run("plan", "-input=false", "-no-color", "-detailed-exitcode", work.lock, *work.files, codes=(0, 2))
    if ended.code == 0:
        (work.call.directory / filled(work.spec, "plan", work.call)).unlink(missing_ok=True)
    return work.program.result({"changes": ended.code == 2}, answer=True if ended.code == 0 else None)


def _outputs(work: _Work) -> Result:
    """Sensitive values are hidden before anything is kept."""
    found = read_json(work.program.run("output", "-json", "-no-color", quiet=True).text)
    outputs = found if isinstance(found, dict) else {}
    for one in outputs.values():
        if one.get("sensitive"):
            work.program.hidden += [text for text in _texts(one.get("value")) if len(text) >= 4]
    document = {name: HIDDEN if one.get("sensitive") else one.get("value") for name, one in outputs.items()}
    return work.program.result(document, text=json.dumps(document))


def _with_lock(message: str, program: str) -> str:
    """With what to do about a lock that somebody holds, or left when it was killed. Only this hint hangs on terraform's words."""
    if "acquiring the state lock" not in message:
        return message
    # A lock by HTTP: what stands under "Lock Info" is who asked for it in vain.
    other = re.search(r"\bID=([0-9A-Za-z-]+)", message)
    found = other or re.search(r"\bID:\s*([0-9A-Za-z-]+)", message)
    if found is None:
        return message
    who = None if other else re.search(r"\bWho:\s*(\S+)", message)
    by = f" of {who[1]}" if who else ""
    return f"{message} / If no {program}{by} is at work any more (one that was killed leaves its lock): {program} force-unlock {found[1]}"


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _texts(each)]
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [as_text(value)]
