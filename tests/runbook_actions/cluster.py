# ruff: noqa: RET503
"""A stand-in for a Kubernetes API server, on loopback, for the real kubectl: deployments, their scale, jobs. It answers as the published
API does for what is asked here, and nothing else. No real cluster can be had where these tests run.
"""

import copy
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

APPS, BATCH = "/apis/apps/v1", "/apis/batch/v1"


def _resource(name: str, kind: str, *, short: tuple[str, ...] = ()) -> dict[str, Any]:
    verbs = ["get", "list", "watch", "create", "update", "patch", "delete"]
    return {"name": name, "singularName": kind.lower(), "namespaced": True, "kind": kind, "verbs": verbs, "shortNames": list(short)}


DISCOVERY: dict[str, Any] = {
    "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
    "/apis": {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": [
            {"name": name, "versions": [one], "preferredVersion": one}
            for name in ("apps", "batch")
            for one in [{"groupVersion": f"{name}/v1", "version": "v1"}]
        ],
    },
    "/api/v1": {"kind": "APIResourceList", "groupVersion": "v1", "resources": []},
    APPS: {
        "kind": "APIResourceList",
        "groupVersion": "apps/v1",
        "resources": [
            _resource("deployments", "Deployment", short=("deploy",)),
            {**_resource("deployments/scale", "Scale"), "group": "autoscaling", "version": "v1"},
        ],
    },
    BATCH: {"kind": "APIResourceList", "groupVersion": "batch/v1", "resources": [_resource("jobs", "Job")]},
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _say(self, document: Any, status: int = 200) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _not_found(self, what: str) -> None:
        said = {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "reason": "NotFound",
            "code": 404,
            "message": f'"{what}" not found',
        }
        self._say(said, 404)

    def do_GET(self):
        cluster, parts = self.server.cluster, urlsplit(self.path)
        if parts.path in DISCOVERY:
            return self._say(DISCOVERY[parts.path])
        query = parse_qs(parts.query)
        found = cluster.place(parts.path)
        if found is None:
            return self._not_found(parts.path)
        kind, name, scale = found
        if not name:
            name = query.get("fieldSelector", ["="])[0].partition("=")[2]
            items = [cluster.seen(kind, one) for one in cluster.objects[kind] if not name or one == name]
            version = "apps/v1" if kind == "Deployment" else "batch/v1"
            if query.get("watch"):
                return self._watch(kind, name)
            return self._say({"kind": f"{kind}List", "apiVersion": version, "metadata": {"resourceVersion": "1"}, "items": items})
        thing = cluster.seen(kind, name)
        if thing is None:
            return self._not_found(name)
        return self._say(cluster.scale(thing) if scale else thing)

    def _watch(self, kind: str, name: str) -> None:
        """One event, then the end: kubectl asks again."""
        thing = self.server.cluster.seen(kind, name)
        event = {"type": "MODIFIED", "object": thing} if thing else None
        data = json.dumps(event).encode() + b"\n" if event else b""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_PATCH(self):
        cluster = self.server.cluster
        kind, name, scale = cluster.place(urlsplit(self.path).path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert kind == "Deployment"
        if cluster.refuses:
            return self._say({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Forbidden", "code": 403}, 403)
        with cluster.lock:
            thing = cluster.objects[kind].get(name)
            if thing is None:
                return self._not_found(name)
            if scale:
                cluster.change(thing, replicas=body["spec"]["replicas"])
            else:
                given = body["spec"]["template"]["metadata"]["annotations"]
                assert set(given) == {"kubectl.kubernetes.io/restartedAt"}
                cluster.restarts += 1
                thing["spec"].setdefault("template", {}).setdefault("metadata", {}).setdefault("annotations", {}).update(given)
                cluster.change(thing)
        self._say(cluster.scale(thing) if scale else thing)
        cluster.patched.set()

    def do_POST(self):
        cluster = self.server.cluster
        kind, _, _ = cluster.place(urlsplit(self.path).path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        made = cluster.add(kind, body["metadata"]["name"], body)
        self._say(made, 201)

    def do_DELETE(self):
        cluster = self.server.cluster
        kind, name, _ = cluster.place(urlsplit(self.path).path)
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if cluster.objects[kind].pop(name, None) is None:
            return self._not_found(name)
        cluster.deleted.append(name)
        self._say({"kind": "Status", "apiVersion": "v1", "status": "Success"})

    def log_message(self, *_):
        pass


class Cluster:
    """``objects``: by kind and name. A change is carried out when it is looked at next, unless ``stuck``."""

    def __init__(self, folder: Path) -> None:
        self.objects: dict[str, dict[str, dict[str, Any]]] = {"Deployment": {}, "Job": {}}
        self.namespace, self.stuck, self.restarts, self.uids = "shop", False, 0, 0
        self.refuses = False
        self.deleted: list[str] = []
        self.lock, self.patched = threading.Lock(), threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.cluster = self  # type: ignore[attr-defined]
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.config = folder / "kubeconfig"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def write_config(self, url: str = "") -> None:
        """The context in force is another one than the test's."""
        contexts = [{"name": name, "context": {"cluster": name, "user": "ops"}} for name in ("prod", "elsewhere")]
        clusters = [
            {"name": "prod", "cluster": {"server": url or self.url}},
            {"name": "elsewhere", "cluster": {"server": "http://127.0.0.1:9"}},
        ]
        document = {"apiVersion": "v1", "kind": "Config", "current-context": "elsewhere", "contexts": contexts, "clusters": clusters}
        self.config.write_text(json.dumps({**document, "users": [{"name": "ops", "user": {}}]}))

    def add(self, kind: str, name: str, given: dict[str, Any] | None = None) -> dict[str, Any]:
        self.uids += 1
        made = copy.deepcopy(given or {"spec": {"replicas": 3}})
        made |= {"kind": kind, "apiVersion": "apps/v1" if kind == "Deployment" else "batch/v1"}
        own = {"name": name, "namespace": self.namespace, "uid": f"uid-{self.uids}", "generation": 1, "resourceVersion": "1"}
        made["metadata"] = {**made.get("metadata", {}), **own}
        self.objects[kind][name] = made
        return made

    def place(self, path: str) -> tuple[str, str, bool] | None:
        found = re.fullmatch(rf"(?:{APPS}|{BATCH})/namespaces/{self.namespace}/(deployments|jobs)(?:/([a-z0-9-]+))?(/scale)?", path)
        return ({"deployments": "Deployment", "jobs": "Job"}[found[1]], found[2] or "", bool(found[3])) if found else None

    def change(self, thing: dict[str, Any], **spec: Any) -> None:
        thing["spec"].update(spec)
        thing["metadata"]["generation"] += 1
        thing["metadata"]["resourceVersion"] = str(int(thing["metadata"]["resourceVersion"]) + 1)

    def seen(self, kind: str, name: str) -> dict[str, Any] | None:
        thing = self.objects[kind].get(name)
        if thing is not None and kind == "Deployment" and not self.stuck:
            count = thing["spec"].get("replicas", 1)
            numbers = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas", "availableReplicas"), count)
            conditions = [
                {"type": "Available", "status": "True"},
                {"type": "Progressing", "status": "True", "reason": "NewReplicaSetAvailable"},
            ]
            thing["status"] = {"observedGeneration": thing["metadata"]["generation"], **numbers, "conditions": conditions}
        return thing

    def scale(self, thing: dict[str, Any]) -> dict[str, Any]:
        count = thing["spec"].get("replicas", 1)
        meta = {key: thing["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion")}
        return {
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": meta,
            "spec": {"replicas": count},
            "status": {"replicas": count},
        }

    def __enter__(self) -> Self:
        self._thread.start()
        self.write_config()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
