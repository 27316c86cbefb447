"""``airflow``: pauses DAGs, waits until their tasks have ended, triggers runs, by Airflow's REST API.

Before DAGs are paused it is written into the run's record which of them ran: so only those are let go again, by whichever host.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from holdfast.connect.airflow import LIVE, Airflow, AirflowFailed, Dag, Login
from holdfast.errors import HoldfastError
from holdfast.plan.shape.base import Part
from holdfast.plan.shape.types import OneOrMany, Text
from holdfast.plan.values.secret import SecretRef
from holdfast.runbooks.actions.commands import quoted
from holdfast.runbooks.actions.contract import Call, Fault, Result
from holdfast.runbooks.actions.output import Redactor, kept
from holdfast.runbooks.errors import RunLost
from holdfast.runbooks.format.insert import as_text, insert, references, whole

POLL_S = 3.0
ENDED = ("success", "failed")

Doing = Literal["pause", "unpause", "list", "quiet", "trigger", "mark"]
Names = Annotated[tuple[Text, ...], OneOrMany()] | Text


class AirflowPart(Part):
    """``dags``: ids, or patterns with ``*``; ``tags``: a DAG that carries one of them. Both: a DAG that fits both."""

    url: Text
    do: Doing
    dags: Names | None = None
    tags: Names | None = None
    token: SecretRef | Text | None = None
    user: Text | None = None
    password: SecretRef | Text | None = None
    ca: Text | None = None
    dag: Text | None = None
    conf: dict[str, Any] = Field(default_factory=dict)
    dag_run: Text | None = None
    task: Text | None = None
    state: Literal["success", "failed"] | None = None
    wait: bool = True
    states: Annotated[tuple[Text, ...], OneOrMany()] = LIVE


class AirflowAction:
    name = "airflow"
    shape: type[Part] = AirflowPart
    short: str | None = None
    verbatim: frozenset[str] = frozenset()
    for_secrets = frozenset({"token", "password", "conf"})

    def examine(self, spec: Mapping[str, Any]) -> list[Fault]:
        faults = []
        do, url = spec["do"], str(spec["url"])
        found = re.match(r"https?://([^/?#]+)", url)
        if whole(url) is None and (found is None or any(references(found[1])) or "@" in found[1]):
            faults.append(Fault(("url",), f"'{url}' is no address of an Airflow", "begin with https:// and the server's name"))
        if do in ("pause", "list") and not spec.get("dags") and not spec.get("tags"):
            faults.append(Fault(("do",), f"{do} names no DAG", "add dags: or tags:"))
        needed = {"mark": ("dag", "dag_run"), "trigger": ("dag",)}.get(do, ())
        faults += [Fault(("do",), f"{do} needs {key}:") for key in needed if not spec.get(key)]
        if do == "mark" and not spec.get("state"):
            faults.append(Fault(("do",), "mark needs state:", "state: success, or state: failed"))
        for key in ("token", "password"):
            if isinstance(spec.get(key), str) and whole(spec[key]) is None:
                hint = f"write {key}: {{env: NAME}}, {{file: PATH}}, {{command: …}}, or insert a parameter of type secret"
                faults.append(Fault((key,), "a literal stands where a secret belongs (it is not repeated here)", hint))
        if bool(spec.get("user")) != bool(spec.get("password")):
            faults.append(Fault(("do",), "user: and password: belong together"))
        if (
            url.startswith("http://")
            and (spec.get("token") or spec.get("password"))
            and not re.match(r"http://(127\.|localhost|\[::1\])", url)
        ):
            faults.append(Fault(("url",), "the credentials travel in plain", "use https://", "warning"))
        return faults

    def repeatable(self, _spec: Mapping[str, Any]) -> bool:
        """Each asks for the state first: what is done already is not done again."""
        return True

    def probe(self, spec: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The same words: asked with ``aborting``, it looks for what the step noted."""
        return {**spec, "look": True} if spec["do"] in ("pause", "unpause", "trigger") else None

    def told(self, spec: Mapping[str, Any], variable: Callable[[str], str]) -> str:
        base = f"{str(spec['url']).rstrip('/')}/api/v2"
        auth = '-H "Authorization: Bearer $AIRFLOW_TOKEN"'

        def curl(method: str, path: str, body: Any = None) -> str:
            data = "" if body is None else f" -H 'Content-Type: application/json' -d {quoted(json.dumps(body), variable)}"
            return f"curl -fsS -X {method} {auth}{data} {quoted(f'{base}/{path}', variable)}"

        do = spec["do"]
        if do == "trigger":
            return curl("POST", f"dags/{spec['dag']}/dagRuns", {"logical_date": None, "conf": spec.get("conf", {})})
        if do == "mark":
            task = f"/taskInstances/{spec['task']}" if spec.get("task") else ""
            body = {"new_state" if task else "state": spec["state"]}
            return curl("PATCH", f"dags/{spec['dag']}/dagRuns/{spec['dag_run']}{task}", body)
        if do == "quiet":
            return curl("GET", "dags/~/dagRuns/~/taskInstances?state=running&state=queued")
        which = " and ".join(f"{key} {', '.join(_listed(spec[key]))}" for key in ("dags", "tags") if spec.get(key))
        look = f"# {which or 'the DAGs that this runbook paused'}\n{curl('GET', 'dags?limit=100')}"
        return look if do == "list" else f"{look}\n{curl('PATCH', 'dags/DAG', {'is_paused': do == 'pause'})}  # for each"

    def run(self, spec: Mapping[str, Any], call: Call) -> Result:
        hidden: list[str] = []
        try:
            airflow = self._client(spec, call, hidden)
            done = _DOES[spec["do"]](airflow, spec, call)
        except RunLost:
            raise
        except HoldfastError as error:
            late = isinstance(error, AirflowFailed) and error.late
            return Result("timeout" if late else "failed", None, Redactor([*call.secrets, *hidden]).text(error.message))
        clean = Redactor([*call.secrets, *hidden])
        document = clean.value(done.document)
        text = json.dumps(document, ensure_ascii=False)
        return Result(done.outcome, done.answer, clean.text(done.message), {"out": kept(text)}, document, text)

    def _client(self, spec: Mapping[str, Any], call: Call, hidden: list[str]) -> Airflow:
        def secret(key: str) -> str:
            given = spec.get(key)
            text = call.secret(given) if isinstance(given, Mapping) else as_text(insert(given, call.values)) if given else ""
            if text:
                hidden.append(text)
            return text

        login = Login(secret("token"), as_text(insert(spec.get("user") or "", call.values)), secret("password"))
        ca = call.directory / Path(as_text(insert(spec["ca"], call.values))).expanduser() if spec.get("ca") else None
        url = as_text(insert(spec["url"], call.values))
        if not re.match(r"https?://[^/?#@]+([/?#]|$)", url):
            raise AirflowFailed(f"'{url}' is no http or https URL.")
        return Airflow(url, login, clock=call.clock, timeout=call.timeout, ca=ca, hide=hidden.append)


def _listed(value: Any) -> list[str]:
    return [as_text(one) for one in value] if isinstance(value, list | tuple) else [as_text(value)]


def _chosen(airflow: Airflow, spec: Mapping[str, Any], call: Call) -> list[Dag]:
    """Raises AirflowFailed where a name, a pattern or the tags match nothing: what was to be stopped would go on unseen."""
    everything = airflow.dags()
    found = everything
    if spec.get("tags"):
        tags = set(_listed(insert(spec["tags"], call.values)))
        found = [dag for dag in found if tags & set(dag.tags)]
        if not found:
            raise AirflowFailed(f"None of {len(everything)} DAGs carries a tag of {', '.join(sorted(tags))}.")
    if spec.get("dags"):
        patterns = _names(spec["dags"], call)
        lacking = [pattern for pattern in patterns if not any(fnmatchcase(dag.id, pattern) for dag in found)]
        if lacking:
            raise AirflowFailed(f"No DAG fits {', '.join(lacking)}; {len(everything)} were looked through.")
        found = [dag for dag in found if any(fnmatchcase(dag.id, pattern) for pattern in patterns)]
    return found


def _names(value: Any, call: Call) -> list[str]:
    """Elements that are one reference to a list give its elements."""
    given = insert(value, call.values)
    flat: list[str] = []
    for one in given if isinstance(given, list | tuple) else [given]:
        flat += _listed(one)
    return flat


def _result(document: dict[str, Any], *, answer: bool | None = True, failed: str = "", late: bool = False) -> Result:
    return Result("timeout" if late else "failed" if failed else "ok", answer, failed, document=document)


def _pause(airflow: Airflow, spec: Mapping[str, Any], call: Call) -> Result:
    mine = list(call.noted.get("paused", ()))
    if spec.get("look"):
        return _still(airflow, mine, call, paused=True)
    chosen = _chosen(airflow, spec, call)
    mine = sorted({*mine, *(dag.id for dag in chosen if not dag.paused)})
    if mine != list(call.noted.get("paused", ())):
        call.note({"paused": mine})
    for dag in chosen:
        if not dag.paused:
            call.sure()
            airflow.pause(dag.id, True)
    by_id = {dag.id: dag for dag in airflow.dags()}
    awake = [dag.id for dag in chosen if dag.id in by_id and not by_id[dag.id].paused]
    already = [dag.id for dag in chosen if dag.id not in mine]
    document = {"paused": [dag.id for dag in chosen if dag.id in mine], "already": already, "dags": [dag.id for dag in chosen]}
    return _result(document, failed=f"unpaused by somebody meanwhile: {', '.join(awake)}" if awake else "")


def _unpause(airflow: Airflow, spec: Mapping[str, Any], call: Call) -> Result:
    """Those that are named; without names those that this step paused."""
    own = spec.get("dags") is None and not spec.get("tags")
    if spec.get("look"):
        return _still(airflow, list(call.noted.get("unpaused", ())), call, paused=False)
    if own and not call.aborting and "paused" not in call.noted:
        raise AirflowFailed("The step names no DAG, and has paused none itself.")
    by_id = {dag.id: dag for dag in airflow.dags()}
    # What an earlier step paused may be nothing: that is no pattern without a match.
    named = list(call.noted.get("paused", ())) if own else _names(spec["dags"], call) if spec.get("dags") is not None else None
    chosen = [by_id[name] for name in named or () if name in by_id] if own else [] if named == [] else _chosen(airflow, spec, call)
    gone = [name for name in named or () if name not in by_id] if own else []
    asleep = [dag.id for dag in chosen if dag.paused]
    if asleep and not own:
        call.note({"unpaused": sorted({*call.noted.get("unpaused", ()), *asleep})})
    for dag in asleep:
        call.sure()
        airflow.pause(dag, False)
    document = {"unpaused": asleep, "already": [dag.id for dag in chosen if not dag.paused], "gone": gone}
    return _result(document)


def _still(airflow: Airflow, mine: Sequence[str], call: Call, *, paused: bool) -> Result:
    """Whether what the step noted is as it made it. In an abort one is enough: there is something to undo."""
    by_id = {dag.id: dag for dag in airflow.dags()}
    there = [name for name in mine if name in by_id and by_id[name].paused is paused]
    answer = bool(there) if call.aborting else bool(mine) and len(there) == len(mine)
    return _result({("paused" if paused else "unpaused"): list(mine), "still": there}, answer=answer)


def _list(airflow: Airflow, spec: Mapping[str, Any], call: Call) -> Result:
    chosen = _chosen(airflow, spec, call)
    names = {dag.id for dag in chosen}
    runs = airflow.runs(names)
    document = {
        "dags": [{"dag_id": dag.id, "paused": dag.paused, "tags": list(dag.tags)} for dag in chosen],
        "paused": all(dag.paused for dag in chosen),
        "runs": runs,
        "running": sum(run["state"] == "running" for run in runs),
        "queued": sum(run["state"] == "queued" for run in runs),
    }
    return _result(document)


def _quiet(airflow: Airflow, spec: Mapping[str, Any], call: Call) -> Result:
    """Until no task of the DAGs may still write; at the end of its time it says which go on."""
    names = {dag.id for dag in _chosen(airflow, spec, call)} if spec.get("dags") or spec.get("tags") else None
    while True:
        tasks = airflow.tasks(tuple(spec["states"]), names)
        if not tasks:
            return _result({"quiet": True, "tasks": []})
        if airflow.left() <= POLL_S:
            words = ", ".join(f"{task['dag_id']}.{task['task_id']} ({task['state']})" for task in tasks[:20])
            more = f" and {len(tasks) - 20} more" if len(tasks) > 20 else ""
            return _result({"quiet": False, "tasks": tasks}, answer=False, failed=f"these go on: {words}{more}", late=True)
        call.clock.sleep(POLL_S)


def _trigger(airflow: Airflow, spec: Mapping[str, Any], call: Call) -> Result:
    dag = as_text(insert(spec["dag"], call.values))
    run = str(call.noted.get("dag_run") or "")
    found = airflow.run(dag, run) if run else None
    if spec.get("look"):
        state = found["state"] if found else None
        document = {"dag": dag, "dag_run": run or None, "state": state}
        return _result(document, answer=found is not None if call.aborting or not spec["wait"] else state == "success")
    if found is None or found["state"] == "failed":
        if found is not None or not run:
            # A run that failed stays as it is; what is tried anew is another one.
            run = f"holdfast-{call.mark}-{call.attempt}"
            call.note({"dag_run": run})
        known = airflow.dag(dag)
        if known is None:
            raise AirflowFailed(f"There is no DAG {dag}.")
        if known.paused and spec["wait"]:
            raise AirflowFailed(f"{dag} is paused: its run would wait for ever. Unpause it first.")
        call.sure()
        airflow.trigger(dag, run, insert(spec.get("conf", {}), call.values))
    return _ended(airflow, dag, run, spec, call)


def _ended(airflow: Airflow, dag: str, run: str, spec: Mapping[str, Any], call: Call) -> Result:
    while True:
        found = airflow.run(dag, run)
        state = found["state"] if found else None
        document = {"dag": dag, "dag_run": run, "state": state}
        if not spec["wait"] and found is not None:
            return _result(document)
        if found is None:
            return _result(document, answer=False, failed=f"run {run} of {dag} is gone")
        if state in ENDED:
            return _result(document, answer=state == "success", failed="" if state == "success" else f"run {run} of {dag} ended: {state}")
        if airflow.left() <= POLL_S:
            return _result(document, answer=None, failed=f"run {run} of {dag} is {state}; it goes on", late=True)
        call.clock.sleep(POLL_S)


def _mark(airflow: Airflow, spec: Mapping[str, Any], call: Call) -> Result:
    dag, run = as_text(insert(spec["dag"], call.values)), as_text(insert(spec["dag_run"], call.values))
    task = as_text(insert(spec["task"], call.values)) if spec.get("task") else None
    call.sure()
    airflow.mark(dag, run, spec["state"], task)
    return _result({"dag": dag, "dag_run": run, "task": task, "state": spec["state"]})


_DOES: dict[str, Callable[[Airflow, Mapping[str, Any], Call], Result]] = {
    "pause": _pause,
    "unpause": _unpause,
    "list": _list,
    "quiet": _quiet,
    "trigger": _trigger,
    "mark": _mark,
}
