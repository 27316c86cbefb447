"""``spark``: stops applications by name at a standalone master, and submits them by the user's own spark-submit."""

import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from holdfast.connect.spark import Running, SparkFailed, SparkMaster
from holdfast.errors import HoldfastError
from holdfast.plan.shape.base import Part
from holdfast.plan.shape.types import OneOrMany, Text
from holdfast.runbooks.actions.commands import in_words
from holdfast.runbooks.actions.contract import RUN_MARK, STEP_MARK, Call, Fault, Result
from holdfast.runbooks.actions.output import Redactor, kept
from holdfast.runbooks.actions.programs import ProgramFailed, Programs, filled
from holdfast.runbooks.errors import RunLost
from holdfast.runbooks.format.insert import as_text, insert, references, whole
from holdfast.state.process import birth

POLL_S = 1.0
_SECRET = re.compile(r"password|secret|token|credential|access\.?key", re.IGNORECASE)


def _word(value: Any) -> Any:
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


Word = Annotated[str, BeforeValidator(_word)]


class SparkPart(Part):
    """``page``: the address of the master's page. ``apps``: names or patterns of applications, ids, classes of drivers.

    ``submit``: ``application`` with ``arguments``, ``conf``, under ``name``, to ``master`` (``spark://…``). ``wait``: to its end; without
    it until the master lists it, and it goes on.
    """

    do: Literal["list", "stop", "submit"]
    page: Text | None = None
    apps: Annotated[tuple[Text, ...], OneOrMany()] | Text | None = None
    ca: Text | None = None
    program: Text = "spark-submit"
    master: Text | None = None
    name: Text | None = None
    application: Text | None = None
    arguments: tuple[Word, ...] = ()
    conf: dict[str, Word | bool] = Field(default_factory=dict)
    env: dict[str, Word] = Field(default_factory=dict)
    wait: bool = True
    log: Text | None = None


class Spark:
    name = "spark"
    shape: type[Part] = SparkPart
    short: str | None = None
    verbatim: frozenset[str] = frozenset()
    for_secrets = frozenset({"env"})

    def examine(self, spec: Mapping[str, Any]) -> list[Fault]:
        do = spec["do"]
        needed = {"list": ("page",), "stop": ("page", "apps"), "submit": ("application", "name", "master")}[do]
        if do == "submit" and not spec["wait"]:
            needed = (*needed, "page")
        faults = [Fault(("do",), f"{do} needs {key}:") for key in needed if not spec.get(key)]
        page = spec.get("page")
        if page and whole(page) is None and not re.match(r"https?://[^/?#@{}$]+", page):
            faults.append(Fault(("page",), f"'{page}' is no address of a page", "write http://master:8080"))
        for key in spec.get("conf", {}):
            if _SECRET.search(key):
                hint = "keep it in the installation's spark-defaults.conf, or give it by env:"
                faults.append(Fault(("conf", key), f"what {key} holds would stand in the process list and on Spark's page", hint))
        faults += [
            Fault((key,), f"the {key} itself is inserted", "name it")
            for key in ("program", "application")
            if any(references(spec.get(key)))
        ]
        return faults

    def repeatable(self, spec: Mapping[str, Any]) -> bool:
        """What was stopped or submitted is noted, and asked for; an application that ends by itself is another matter."""
        return bool(spec["do"] != "submit" or not spec["wait"])

    def probe(self, spec: Mapping[str, Any]) -> Mapping[str, Any] | None:
        return {**spec, "look": True} if spec["do"] == "stop" or not spec["wait"] else None

    def told(self, spec: Mapping[str, Any], variable: Callable[[str], str]) -> str:
        if spec["do"] == "submit":
            return in_words(_argv(spec), variable)
        page = str(spec.get("page")).rstrip("/")
        look = in_words(["curl", "-fsS", f"{page}/json/"], variable)
        if spec["do"] == "list":
            return look
        end = in_words(["curl", "-d", "id=ID&terminate=true", f"{page}/app/kill/"], variable)
        return f"{look}\n# for each of {', '.join(map(as_text, _apps(spec)))}\n{end}"

    def run(self, spec: Mapping[str, Any], call: Call) -> Result:
        try:
            return {"list": _list, "stop": _stop, "submit": _submit}[spec["do"]](spec, call)
        except RunLost:
            raise
        except HoldfastError as error:
            late = bool(getattr(error, "late", False))
            return Result("timeout" if late else "failed", None, Redactor(call.secrets).text(error.message))


def _apps(spec: Mapping[str, Any]) -> list[Any]:
    given = spec.get("apps") or ()
    return list(given) if isinstance(given, list | tuple) else [given]


def _argv(spec: Mapping[str, Any]) -> list[str]:
    conf = [word for key, value in spec.get("conf", {}).items() for word in ("--conf", f"{key}={as_text(value)}")]
    return [spec["program"], "--master", spec["master"], "--name", spec["name"], *conf, spec["application"], *spec.get("arguments", ())]


def _master(spec: Mapping[str, Any], call: Call) -> SparkMaster:
    page = as_text(insert(spec["page"], call.values))
    if not re.match(r"https?://[^/?#@]+", page):
        raise SparkFailed(f"'{page}' is no http or https URL.")
    ca = call.directory / Path(filled(spec, "ca", call)).expanduser() if spec.get("ca") else None
    return SparkMaster(page, clock=call.clock, timeout=call.timeout, ca=ca)


def _result(document: dict[str, Any], *, answer: bool | None = True, failed: str = "", late: bool = False) -> Result:
    text = json.dumps(document, ensure_ascii=False)
    return Result("timeout" if late else "failed" if failed else "ok", answer, failed, {"out": kept(text)}, document, text)


def _told(one: Running) -> dict[str, str]:
    return {"id": one.id, "name": one.name, "state": one.state}


def _matching(master: SparkMaster, spec: Mapping[str, Any], call: Call) -> list[Running]:
    patterns = [as_text(one) for one in insert(_apps(spec), call.values)]
    running = master.running()
    if not patterns:
        return running
    return [one for one in running if any(fnmatchcase(one.name, pattern) or one.id == pattern for pattern in patterns)]


def _list(spec: Mapping[str, Any], call: Call) -> Result:
    found = _matching(_master(spec, call), spec, call)
    return _result({"running": [_told(one) for one in found], "count": len(found)})


def _stop(spec: Mapping[str, Any], call: Call) -> Result:
    """Those that run when it is begun: their ids are noted first, so that one which was submitted anew is left alone."""
    master = _master(spec, call)
    noted = call.noted.get("stopped")
    active = {one.id for one in master.running()}
    if spec.get("look"):
        gone = [one for one in noted or () if one["id"] not in active]
        answer = bool(gone) if call.aborting else bool(noted) and len(gone) == len(noted or ())
        return _result({"stopped": gone}, answer=answer)
    if noted is None:
        found = _matching(master, spec, call)
        if not found:
            raise SparkFailed(f"No application fits {', '.join(map(as_text, insert(_apps(spec), call.values)))}; {len(active)} run.")
        noted = [{**_told(one), "driver": one.driver} for one in found]
        call.note({"stopped": noted})
    for one in noted:
        if one["id"] in active:
            call.sure()
            master.end(Running(one["id"], one["name"], one["state"], one["driver"]))
    while True:
        left = [one for one in noted if one["id"] in {each.id for each in master.running()}]
        if not left:
            return _result({"stopped": [{"id": one["id"], "name": one["name"]} for one in noted]})
        if master.left() <= 2 * POLL_S:
            return _result({"left": left}, answer=False, failed=f"still there: {', '.join(one['id'] for one in left)}", late=True)
        call.clock.sleep(POLL_S)


def _submit(spec: Mapping[str, Any], call: Call) -> Result:
    program, name = filled(spec, "program", call), filled(spec, "name", call)
    words = [as_text(insert(word, call.values)) for word in _argv(spec)]
    environment = {key: as_text(value) for key, value in insert(spec.get("env", {}), call.values).items()}
    if spec["wait"]:
        programs = Programs(program, call, call.directory, environment)
        call.sure()
        try:
            ended = programs.run(*words[1:], changes=True)
        except ProgramFailed as error:
            return programs.failure(error)
        return programs.result({"name": name, "ended": True}, text=ended.text)
    return _left_running(spec, call, name, words, environment)


def _registers(call: Call) -> bool:
    """Whether what an earlier doing submitted is at work here, and only not listed yet: a second one would be one too many."""
    number, born = call.noted.get("process"), call.noted.get("born")
    return isinstance(number, int) and bool(born) and birth(number) == born


def _left_running(spec: Mapping[str, Any], call: Call, name: str, words: list[str], environment: Mapping[str, str]) -> Result:
    master = _master(spec, call)

    def running() -> Running | None:
        return next((one for one in master.running() if one.name == name), None)

    found = running()
    if spec.get("look"):
        return _result({"name": name, "id": found.id if found else None}, answer=found is not None and "submitted" in call.noted)
    if found is not None and "submitted" not in call.noted:
        raise SparkFailed(f"An application {name} runs already: {found.id}.")
    log = call.directory / (filled(spec, "log", call) or f"spark-{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}.log")
    process: subprocess.Popen[bytes] | None = None
    if found is None and not _registers(call):
        call.note({"submitted": name})
        call.sure()
        # It goes on when the run has ended: it is no process of the step, and prints into a file of its own.
        mine = {key: value for key, value in call.environment.items() if key not in (RUN_MARK, STEP_MARK)}
        with os.fdopen(os.open(log, os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC, 0o600), "ab") as out:
            try:
                process = subprocess.Popen(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=out,
                    env={**mine, **environment},
                    cwd=call.directory,
                    start_new_session=True,
                )
            except OSError as error:
                raise SparkFailed(f"{words[0]} cannot be started: {error.strerror}.") from None
        call.note({"process": process.pid, "born": birth(process.pid)})
    while found is None:
        if process is not None and process.poll() is not None and process.returncode:
            raise SparkFailed(f"{words[0]} ended with status {process.returncode}: see {log}.")
        if master.left() <= 2 * POLL_S:
            return _result({"name": name, "log": str(log)}, answer=None, failed=f"the master does not list {name}: see {log}", late=True)
        call.clock.sleep(POLL_S)
        found = running()
    return _result({"name": name, "id": found.id, "log": str(log)})
