"""Actions that start a process: ``command`` (an argv, no shell), ``shell`` (a script, parameters as variables), ``holdfast``."""

import os
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from holdfast.plan.errors import BadValue
from holdfast.plan.shape.base import Part
from holdfast.plan.shape.types import Text
from holdfast.runbooks.actions import process
from holdfast.runbooks.actions.contract import Call, Fault, Result
from holdfast.runbooks.format.insert import REFERENCE, as_text, insert, references, whole
from holdfast.runbooks.outputs import read_json

PREFIX = "PARAM_"
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
# Variables that make a program run or load what their value says.
_POWERFUL = re.compile(
    r"PATH|IFS|ENV|SHELLOPTS|BASHOPTS|PROMPT_COMMAND|PS4|EDITOR|VISUAL|PAGER|BROWSER|HOME|HOLDFAST_.*"
    r"|(LD|DYLD|BASH|PYTHON|PERL|RUBY|NODE|JAVA|GIT|SSH)(_?[A-Z].*)?"
)
# Programs that read a program out of one of their words.
_INTERPRETERS = re.compile(
    r"(a|ba|da|z|k|c|tc|fi|pwa?)?sh|python[0-9.]*|perl|ruby|node|deno|php|lua|awk|gawk|mawk|sed|psql|mysql|mongosh|duckdb|sqlite3"
)
# Programs that hand their words to a shell somewhere else.
_REMOTE = re.compile(r"ssh|su|runuser|watch|xargs|eval|script|parallel|at|batch|crontab")
_CODE_OPTION = re.compile(r"-[A-Za-z]*[ce]|--(command|eval|execute|expression)(=.*)?")
_SAFE_HOLDFAST = {
    "status", "check", "points", "show", "ls", "when", "verify", "jobs", "log", "plan lint", "plan show", "plan diff", "plan assess",
    "vault status", "vault check", "runbook list", "runbook show", "runbook lint", "runbook history", "evidence verify",
}  # fmt: skip


def _word(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def _words(value: Any) -> Any:
    if isinstance(value, str):
        raise BadValue("a command is a list of words, not one text", hint="write [program, option, value]; for a script write shell:")
    return value


Argv = Annotated[tuple[Annotated[str, BeforeValidator(_word)], ...], BeforeValidator(_words), Field(min_length=1)]
Environment = dict[str, Annotated[str, BeforeValidator(_word)]]


class CommandPart(Part):
    """An argv, started without a shell."""

    argv: Argv
    env: Environment = Field(default_factory=dict)
    directory: Text | None = None


class ShellPart(Part):
    """A bash script. Nothing is inserted into it; parameters are there as ``$PARAM_NAME``."""

    script: Text
    env: Environment = Field(default_factory=dict)
    directory: Text | None = None


def _environment_faults(spec: Mapping[str, Any]) -> list[Fault]:
    faults = []
    for name, value in spec.get("env", {}).items():
        if not _VARIABLE.fullmatch(name):
            faults.append(Fault(("env", name), f"'{name}' is no name of a variable", "use letters, digits and '_'"))
        elif _POWERFUL.fullmatch(name.upper()) and any(references(value)):
            faults.append(Fault(("env", name), f"what is inserted into {name} could choose what runs", "give it another name"))
    return faults


def _variables(spec: Mapping[str, Any], call: Call) -> dict[str, str]:
    """For the process: what it inherits, parameters as ``PARAM_…``, and its own ``env``."""
    given = {PREFIX + name.upper().replace("-", "_"): as_text(value) for name, value in call.parameters.items() if value is not None}
    own = {name: as_text(value) for name, value in insert(spec.get("env", {}), call.values).items()}
    return {**call.environment, **given, **own}


def _done(argv: Sequence[str], spec: Mapping[str, Any], call: Call) -> Result:
    directory = call.directory / insert(spec.get("directory") or ".", call.values)
    if any("\0" in word for word in argv):
        return Result("failed", None, "a word holds a zero byte, which no program can be given")
    try:
        ended = (call.keeper or process).run(
            argv,
            environment=_variables(spec, call),
            directory=directory,
            timeout=call.timeout,
            clock=call.clock,
            secrets=call.secrets,
            began=call.began,
        )
    except (OSError, ValueError) as error:
        return Result("failed", None, f"{argv[0]} cannot be started: {getattr(error, 'strerror', None) or error}")
    streams = {"out": ended.out, "err": ended.err}
    if ended.torn:
        return Result("interrupted", None, ended.torn, streams, text=ended.text)
    if ended.late:
        return Result(
            "timeout", None, f"it did not end within {call.timeout:g} s and was stopped", streams, text=ended.text, code=ended.code
        )
    answer = {0: True, 1: False}.get(ended.code)
    if ended.code:
        how = f"signal {-ended.code}" if ended.code < 0 else f"status {ended.code}"
        return Result("failed", answer, f"it ended with {how}", streams, read_json(ended.text), ended.text, ended.code)
    return Result("ok", answer, "", streams, read_json(ended.text), ended.text, 0)


def argv_faults(argv: Sequence[str], key: str = "argv") -> list[Fault]:
    """Places where an inserted value would be read as a program."""
    faults = []
    if any(references(argv[0])):
        faults.append(Fault((key, 0), "the program itself is inserted", "name the program; insert its arguments only"))
    reading, code_next, fresh = "", False, False
    for number, word in enumerate(argv):
        inserted = any(references(word))
        name = os.path.basename(word)  # noqa: PTH119 - a word, not a file
        if inserted and (code_next or _REMOTE.fullmatch(reading) or (reading and _CODE_OPTION.fullmatch(word))):
            hint = "write shell: with the value as $PARAM_NAME" if "sql" not in reading else "write sql: with parameters:"
            faults.append(Fault((key, number), f"{reading} would read what is inserted here as a program", hint))
        elif inserted and reading in ("awk", "gawk", "mawk", "sed"):
            faults.append(Fault((key, number), f"{reading} could read what is inserted here as a program", "write shell: with a variable"))
        elif inserted and fresh and not word.startswith("-") and "sql" not in reading:
            faults.append(Fault((key, number), f"the file that {reading} runs is inserted", "name the file; insert its arguments only"))
        fresh = fresh and word.startswith("-")
        code_next = bool(reading) and _CODE_OPTION.fullmatch(word) is not None and "=" not in word
        if not inserted and (_INTERPRETERS.fullmatch(name) or _REMOTE.fullmatch(name)):
            reading, fresh = name, True
    return faults


def filled(argv: Sequence[str], call: Call) -> list[str]:
    """The argv with values. Raises ValueError where a value alone would be read as an option."""
    words = []
    for word in argv:
        text = as_text(insert(word, call.values))
        if whole(word) is not None and text.startswith("-") and not _number(text):
            raise ValueError(f"the value of {word} begins with a dash and would be read as an option")
        words.append(text)
    return words


def _number(text: str) -> bool:
    return re.fullmatch(r"-[0-9]+(\.[0-9]+)?", text) is not None


class Command:
    name = "command"
    shape: type[Part] = CommandPart
    short: str | None = "argv"
    verbatim: frozenset[str] = frozenset()
    for_secrets = frozenset({"env"})

    def examine(self, spec: Mapping[str, Any]) -> list[Fault]:
        return [*argv_faults(spec["argv"]), *_environment_faults(spec)]

    def repeatable(self, _spec: Mapping[str, Any]) -> bool:
        return False

    def told(self, spec: Mapping[str, Any], variable: Callable[[str], str]) -> str:
        return _before(spec, variable) + in_words(spec["argv"], variable)

    def run(self, spec: Mapping[str, Any], call: Call) -> Result:
        try:
            argv = filled(spec["argv"], call)
        except ValueError as error:
            return Result("failed", None, f"nothing was started: {error}")
        return _done(argv, spec, call)


class Shell:
    name = "shell"
    shape: type[Part] = ShellPart
    short: str | None = "script"
    verbatim = frozenset({"script"})
    for_secrets = frozenset({"env"})

    def examine(self, spec: Mapping[str, Any]) -> list[Fault]:
        faults = _environment_faults(spec)
        script = str(spec["script"])
        if re.search(r"(^|[\s;&|])eval\s", script):
            faults.append(Fault(("script",), "eval runs what its words say, parameters among them", "do without eval", "warning"))
        for found in re.finditer(r'(?<!["\w=])\$\{?(PARAM_\w+)\}?(?!["\w])', script):
            faults.append(Fault(("script",), f"${found[1]} is not quoted", f'write "${found[1]}"', "warning"))
            break
        return faults

    def repeatable(self, _spec: Mapping[str, Any]) -> bool:
        return False

    def told(self, spec: Mapping[str, Any], variable: Callable[[str], str]) -> str:
        given = "".join(f"export {name}={quoted(value, variable)}\n" for name, value in spec.get("env", {}).items())
        end = "STEP" if "\nSTEP\n" not in str(spec["script"]) else "END_OF_STEP"
        return f"{given}bash -euo pipefail <<'{end}'\n{str(spec['script']).rstrip()}\n{end}"

    def run(self, spec: Mapping[str, Any], call: Call) -> Result:
        # Every command's failure is the script's: also that of the first in a pipeline, and of a variable that is not set.
        return _done(["bash", "-euo", "pipefail", "-c", str(spec["script"])], spec, call)


class Holdfast:
    """A command of Holdfast, as another process of the same program with --json; its document gives values to later steps."""

    name = "holdfast"
    shape: type[Part] = CommandPart
    short: str | None = "argv"
    verbatim: frozenset[str] = frozenset()
    for_secrets = frozenset({"env"})

    def examine(self, spec: Mapping[str, Any]) -> list[Fault]:
        argv = spec["argv"]
        faults = [*argv_faults(["holdfast", *argv]), *_environment_faults(spec)]
        if any(references(argv[0])):
            faults.append(Fault(("argv", 0), "the command itself is inserted", "name the command; insert its arguments only"))
        return faults

    def repeatable(self, spec: Mapping[str, Any]) -> bool:
        """Commands that only look."""
        words = [word for word in spec["argv"] if not word.startswith("-")]
        return bool(words) and (words[0] in _SAFE_HOLDFAST or " ".join(words[:2]) in _SAFE_HOLDFAST)

    def told(self, spec: Mapping[str, Any], variable: Callable[[str], str]) -> str:
        return _before(spec, variable) + in_words(["holdfast", *spec["argv"]], variable)

    def run(self, spec: Mapping[str, Any], call: Call) -> Result:
        try:
            words = filled(spec["argv"], call)
        except ValueError as error:
            return Result("failed", None, f"nothing was started: {error}")
        end = words.index("--") if "--" in words else len(words)
        asked = [] if "--json" in words[:end] else ["--json"]
        result = _done([*call.program, *words[:end], *asked, *words[end:]], spec, call)
        said = result.document.get("error") if isinstance(result.document, dict) else None
        if result.outcome == "failed" and isinstance(said, dict):
            return replace(result, message=f"{result.message}: {said.get('message')} {said.get('hint')}".rstrip())
        return result


def quoted(word: Any, variable: Callable[[str], str]) -> str:
    """One word for a shell, in which references stand as variables."""
    word = as_text(word)
    if not any(references(word)):
        return shlex.quote(REFERENCE.sub("${", word))
    parts, at = [], 0
    for found in REFERENCE.finditer(word):
        parts.append(_literal(word[at : found.start()]))
        parts.append("\\${" if found["name"] is None else f"${{{variable(found['name'])}}}")
        at = found.end()
    return f'"{"".join(parts)}{_literal(word[at:])}"'


def _literal(text: str) -> str:
    """For a place between double quotes."""
    return re.sub(r'[\\"$`]', r"\\\g<0>", text)


def in_words(argv: Sequence[str], variable: Callable[[str], str]) -> str:
    """An argv as a person types it."""
    return " ".join(quoted(word, variable) for word in argv)


def _before(spec: Mapping[str, Any], variable: Callable[[str], str]) -> str:
    return "".join(f"{name}={quoted(value, variable)} " for name, value in spec.get("env", {}).items())
