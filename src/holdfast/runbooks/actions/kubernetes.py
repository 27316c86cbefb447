"""``kubernetes``: by the user's own kubectl. Context and namespace are named by the step, never those that happen to be in force."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from holdfast.plan.shape.base import Part
from holdfast.plan.shape.types import Text
from holdfast.runbooks.actions.commands import in_words
from holdfast.runbooks.actions.contract import Call, Fault, Result
from holdfast.runbooks.actions.programs import ProgramFailed, Programs, filled
from holdfast.runbooks.format.insert import insert, references
from holdfast.runbooks.outputs import read_json

POLL_S = 1.0
_WHAT = re.compile(r"[a-z][a-z0-9.-]*/[a-z0-9][a-z0-9.-]*")
_RESTARTED = "kubectl.kubernetes.io/restartedAt"
"""What kubectl writes into the template to have it rolled out anew."""
Doing = Literal["scale", "restart", "rollout", "wait", "apply", "delete", "get"]


class KubernetesPart(Part):
    """``what``: KIND/NAME. ``replicas``: left out in the undo of a scale, it is what was there before."""

    context: Text
    namespace: Text
    do: Doing
    what: Text | None = None
    replicas: Annotated[int, Field(ge=0, le=10_000, strict=True)] | Text | None = None
    file: Text | None = None
    condition: Text | None = Field(None, alias="for")
    jsonpath: Text | None = None
    kubeconfig: Text | None = None


class Kubernetes:
    name = "kubernetes"
    shape: type[Part] = KubernetesPart
    short: str | None = None
    verbatim = frozenset({"jsonpath"})
    for_secrets: frozenset[str] = frozenset()

    def examine(self, spec: Mapping[str, Any]) -> list[Fault]:
        faults = []
        do = spec["do"]
        needed = {"apply": ("file",), "wait": ("what", "for")}.get(do, ("what",))
        faults += [Fault(("do",), f"{do} needs {key}:") for key in needed if not spec.get(key)]
        what = spec.get("what")
        if what and not any(references(what)) and not _WHAT.fullmatch(what):
            faults.append(Fault(("what",), f"'{what}' is not of the form KIND/NAME", "write deployment/api, job/load"))
        if do == "delete" and what and not re.match(r"jobs?(\.batch)?/", what):
            faults.append(Fault(("what",), "only jobs are deleted", "write job/NAME; for anything else write command: [kubectl, …]"))
        return faults

    def repeatable(self, _spec: Mapping[str, Any]) -> bool:
        """Each says a state that is to be; a restart and the deletion of a job know by what was noted whether they happened."""
        return True

    def probe(self, spec: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Where there can be something to undo."""
        return {**spec, "look": True} if spec["do"] == "scale" else None

    def told(self, spec: Mapping[str, Any], variable: Callable[[str], str]) -> str:
        before = [f"--kubeconfig={spec['kubeconfig']}"] if spec.get("kubeconfig") else []
        words = ["kubectl", *before, f"--context={spec['context']}", f"--namespace={spec['namespace']}"]
        what = str(spec.get("what"))
        more = {
            "scale": ["scale", what, f"--replicas={spec.get('replicas', 'AS-BEFORE')}"],
            "restart": ["rollout", "restart", what],
            "rollout": ["rollout", "status", what],
            "wait": ["wait", what, f"--for={spec.get('for')}"],
            "apply": ["apply", "-f", str(spec.get("file"))],
            "delete": ["delete", what],
            "get": ["get", what, "-o", f"jsonpath={spec['jsonpath']}" if spec.get("jsonpath") else "json"],
        }
        return in_words([*words, *more[spec["do"]]], variable)

    def run(self, spec: Mapping[str, Any], call: Call) -> Result:
        try:
            cluster = _Cluster(spec, call)
        except ProgramFailed as error:
            return Result("failed", None, error.message)
        try:
            return _DOES[spec["do"]](cluster)
        except ProgramFailed as error:
            return cluster.kubectl.failure(error)


class _Cluster:
    """What one step talks to."""

    def __init__(self, spec: Mapping[str, Any], call: Call) -> None:
        self.spec, self.call = spec, call
        context, namespace = filled(spec, "context", call), filled(spec, "namespace", call)
        if not context or not namespace:
            raise ProgramFailed("context: and namespace: must name something")
        config = filled(spec, "kubeconfig", call)
        self.before = [f"--kubeconfig={call.directory / Path(config).expanduser()}"] if config else []
        self.before += [f"--context={context}", f"--namespace={namespace}"]
        self.what = filled(spec, "what", call)
        if spec.get("what") and not _WHAT.fullmatch(self.what):
            raise ProgramFailed(f"'{self.what}' is not of the form KIND/NAME")
        self.kubectl = Programs("kubectl", call, call.directory)

    def __call__(self, *words: str, quiet: bool = False) -> str:
        return self.kubectl.run(*self.before, *words, quiet=quiet).text or ""

    def change(self, *words: str) -> str:
        self.call.sure()
        return self(*words)

    def object(self) -> dict[str, Any] | None:
        """None where there is none."""
        text = self("get", self.what, "--ignore-not-found", "-o", "json", quiet=True)
        found = read_json(text)
        return found if isinstance(found, dict) else None

    def there(self) -> dict[str, Any]:
        found = self.object()
        if found is None:
            raise ProgramFailed(f"there is no {self.what}")
        return found

    @property
    def seconds(self) -> str:
        return f"{max(1, int(self.kubectl.left) - 1)}s"


def _replicas(found: Mapping[str, Any]) -> int:
    """Kubernetes' own default is one."""
    return int(found.get("spec", {}).get("replicas", 1))


def _scale(cluster: _Cluster) -> Result:
    call, spec = cluster.call, cluster.spec
    given = insert(spec.get("replicas"), call.values)
    former = call.noted.get("replicas")
    if given is None:
        if former is None:
            raise ProgramFailed("replicas: is not given, and the step noted none before")
        given = former
    try:
        wanted = int(given)
    except (TypeError, ValueError):
        raise ProgramFailed(f"'{given}' is no number of replicas") from None
    found = cluster.there()
    if spec.get("look"):
        now = _replicas(found)
        answer = former is not None and now != former if call.aborting else now == wanted
        return cluster.kubectl.result({"what": cluster.what, "replicas": now, "former": former}, answer=answer)
    if former is None:
        former = _replicas(found)
        call.note({"replicas": former})
    if _replicas(found) != wanted:
        cluster.change("scale", cluster.what, f"--replicas={wanted}")
    while True:
        found = cluster.there()
        status = found.get("status", {})
        seen = int(status.get("observedGeneration", 0)) >= int(found.get("metadata", {}).get("generation", 0))
        there, ready = int(status.get("replicas") or 0), int(status.get("readyReplicas") or 0)
        document = {"what": cluster.what, "replicas": wanted, "former": former, "there": there, "ready": ready}
        if seen and there == wanted and ready == wanted:
            return cluster.kubectl.result(document)
        if cluster.kubectl.left <= 2 * POLL_S:
            why = f"{cluster.what} has {there} replicas, {ready} of them ready; {wanted} were asked for"
            return cluster.kubectl.result(document, answer=None, failed=why, outcome="timeout")
        call.clock.sleep(POLL_S)


def _restart(cluster: _Cluster) -> Result:
    """Once: another mark of a restart than the noted one says that it was told before. Then until it is rolled out.

    The generation would not tell: whoever scales it, an autoscaler too, raises that.
    """
    template = cluster.there().get("spec", {}).get("template", {})
    mark = str((template.get("metadata", {}).get("annotations") or {}).get(_RESTARTED, ""))
    noted = cluster.call.noted.get("restarted")
    if noted is None or noted == mark:
        if noted is None:
            cluster.call.note({"restarted": mark})
        cluster.change("rollout", "restart", cluster.what)
    return _rollout(cluster)


def _rollout(cluster: _Cluster) -> Result:
    text = cluster("rollout", "status", cluster.what, f"--timeout={cluster.seconds}")
    return cluster.kubectl.result({"what": cluster.what, "rolled_out": True}, text=text)


def _wait(cluster: _Cluster) -> Result:
    condition = filled(cluster.spec, "for", cluster.call)
    text = cluster("wait", cluster.what, f"--for={condition}", f"--timeout={cluster.seconds}")
    return cluster.kubectl.result({"what": cluster.what, "for": condition}, text=text)


def _apply(cluster: _Cluster) -> Result:
    path = cluster.call.directory / Path(filled(cluster.spec, "file", cluster.call)).expanduser()
    if not path.is_file():
        raise ProgramFailed(f"there is no file {path}")
    text = cluster.change("apply", "-f", str(path))
    return cluster.kubectl.result({"applied": text.strip().splitlines()}, text=text)


def _delete(cluster: _Cluster) -> Result:
    """The job that was there first: one that came under its name meanwhile (by a CronJob) is another one."""
    found = cluster.object()
    uid = str(found.get("metadata", {}).get("uid")) if found is not None else None
    noted = cluster.call.noted.get("uid")
    if noted is None:
        if uid is None:
            raise ProgramFailed(f"there is no {cluster.what}")
        cluster.call.note({"uid": uid})
        noted = uid
    deleted = uid == noted
    if deleted:
        cluster.change("delete", cluster.what, "--ignore-not-found", "--wait=true", f"--timeout={cluster.seconds}")
    return cluster.kubectl.result({"what": cluster.what, "uid": noted, "deleted": True})


def _get(cluster: _Cluster) -> Result:
    path = cluster.spec.get("jsonpath")
    if path is None:
        found = cluster.object()
        answer = found is not None
        return cluster.kubectl.result(found, answer=answer, failed="" if answer else f"there is no {cluster.what}", text=json.dumps(found))
    cluster.there()
    text = cluster("get", cluster.what, "-o", f"jsonpath={path}")
    return cluster.kubectl.result(read_json(text), text=text)


_DOES: dict[str, Callable[[_Cluster], Result]] = {
    "scale": _scale,
    "restart": _restart,
    "rollout": _rollout,
    "wait": _wait,
    "apply": _apply,
    "delete": _delete,
    "get": _get,
}
