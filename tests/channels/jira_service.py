"""Jira Cloud (v3) and Data Center (v2) as their references describe what Holdfast needs of them."""

import base64
import re

from tests.channels.serving import Asked, Service, Told, Wrong, exactly, text

USER, TOKEN = "bot@shop.example", "api-token-that-is-secret"
NODES = {"paragraph": ("text", "hardBreak")}


def is_adf(value) -> bool:
    exactly(value, {"type": lambda v: v == "doc", "version": lambda v: v == 1, "content": list}, where="doc")
    for paragraph in value["content"]:
        exactly(paragraph, {"type": lambda v: v == "paragraph", "content": list}, where="paragraph")
        for node in paragraph["content"]:
            if node.get("type") == "text":
                exactly(node, {"type": str, "text": text(32_767)}, where="text")
            else:
                exactly(node, {"type": lambda v: v == "hardBreak"}, where="node")
    return True


def words(adf) -> str:
    if isinstance(adf, str):
        return adf
    return "\n\n".join("".join(node.get("text", "\n") for node in part["content"]) for part in adf["content"])


def status(name: str) -> dict:
    key = {"Open": "new", "In Progress": "indeterminate", "Done": "done"}[name]
    return {"id": name, "name": name, "statusCategory": {"id": 1, "key": key, "name": name}}


class Jira(Service):
    """``issues`` by key. ``unseen``: keys that the search does not show yet."""

    def __init__(self, *, cloud: bool = True, tls=None) -> None:
        self.cloud = cloud
        self.issues: dict[str, dict] = {}
        self.unseen: set[str] = set()
        self.workflow = {
            "Open": [("11", "Start", "In Progress"), ("31", "Close at once", "Done")],
            "In Progress": [("21", "Finish", "Done")],
            "Done": [("41", "Archive", "Done"), ("51", "Back to work", "In Progress"), ("61", "Re-open issue", "Open")],
        }
        super().__init__(tls)

    def refuse(self, why):
        return Told(400, {"errorMessages": [why], "errors": {}})

    def handle(self, asked: Asked) -> Told:
        given = asked.headers.get("authorization", "")
        wanted = "Basic " + base64.b64encode(f"{USER}:{TOKEN}".encode()).decode() if self.cloud else f"Bearer {TOKEN}"
        if given != wanted:
            return Told(401, {"errorMessages": ["You are not authenticated"], "errors": {}})
        base = f"/rest/api/{3 if self.cloud else 2}/"
        if not asked.path.startswith(base):
            return Told(404, {"errorMessages": ["no such path"], "errors": {}})
        path = asked.path.removeprefix(base)
        if path == "myself":
            return Told(200, {"displayName": "Holdfast", "active": True})
        if path == "project/DATA":
            return Told(200, {"key": "DATA", "id": "1"})
        if path == ("search/jql" if self.cloud else "search") and asked.method == "POST":
            return self.search(asked.json())
        if path == "issue" and asked.method == "POST":
            return self.create(asked.json())
        found = re.fullmatch(r"issue/([A-Z]+-\d+)(/.*)?", path)
        issue = self.issues.get(found[1]) if found else None
        if issue is None:
            return Told(404, {"errorMessages": ["Issue does not exist or you do not have permission to see it."], "errors": {}})
        return self.of_issue(issue, found[2] or "", asked)

    def create(self, body) -> Told:
        exactly(body, {"fields": dict}, {"properties": list, "update": dict})
        document = is_adf if self.cloud else text(32_767)
        exactly(
            body["fields"],
            {"project": dict, "issuetype": dict, "summary": lambda v: text(255)(v) and "\n" not in v},
            {"description": document, "labels": list, "priority": dict},
            where="fields",
        )
        exactly(body["fields"]["project"], {"key": lambda v: v == "DATA"})
        exactly(body["fields"]["issuetype"], {"name": lambda v: v in ("Task", "Incident")})
        if "priority" in body["fields"]:
            exactly(body["fields"]["priority"], {"name": lambda v: v in ("Highest", "High")})
        if any(not isinstance(one, str) or " " in one or len(one) > 255 for one in body["fields"].get("labels", ())):
            raise Wrong("The label contains spaces which is invalid.")
        properties = {}
        for one in body.get("properties", ()):
            exactly(one, {"key": text(255), "value": object})
            properties[one["key"]] = one["value"]
        key = f"DATA-{len(self.issues) + 1}"
        self.issues[key] = {"key": key, "fields": body["fields"], "properties": properties, "comments": [], "status": "Open"}
        return Told(201, {"id": "1", "key": key, "self": f"{self.url}/rest/api/3/issue/1"})

    def search(self, body) -> Told:
        exactly(body, {"jql": str, "maxResults": int, "fields": list})
        asked = re.fullmatch(r'project = "DATA" AND labels = "([^"]+)" ORDER BY created ASC', body["jql"])
        if not asked:
            raise Wrong("Error in the JQL Query")
        found = [one for key, one in self.issues.items() if asked[1] in one["fields"].get("labels", ()) and key not in self.unseen]
        issues = [{"id": "1", "key": one["key"], "fields": {"labels": one["fields"]["labels"]}} for one in found[: body["maxResults"]]]
        return Told(200, {"issues": issues, "isLast": True} if self.cloud else {"issues": issues, "total": len(found), "startAt": 0})

    def of_issue(self, issue, rest, asked: Asked) -> Told:
        if rest == "/comment" and asked.method == "POST":
            body = asked.json()
            exactly(body, {"body": is_adf if self.cloud else text(32_767)}, {"properties": list, "visibility": dict})
            issue["comments"].append({"id": str(len(issue["comments"])), "body": body["body"], "properties": body.get("properties", [])})
            return Told(201, {"id": str(len(issue["comments"]))})
        if rest == "/comment":
            exactly(asked.query, {}, {"orderBy": lambda v: v == "-created", "maxResults": str, "expand": lambda v: v == "properties"})
            shown = list(reversed(issue["comments"]))[: int(asked.query.get("maxResults", "50"))]
            if "expand" not in asked.query:
                shown = [{key: value for key, value in one.items() if key != "properties"} for one in shown]
            return Told(200, {"comments": shown, "total": len(issue["comments"])})
        if rest.startswith("/properties/"):
            value = issue["properties"].get(rest.removeprefix("/properties/"))
            return Told(404, {"errorMessages": ["no property"]}) if value is None else Told(200, {"key": "holdfast", "value": value})
        if rest == "/transitions" and asked.method == "GET":
            ways = [{"id": id_, "name": name, "to": status(to)} for id_, name, to in self.workflow[issue["status"]]]
            return Told(200, {"transitions": ways})
        if rest == "/transitions":
            exactly(asked.json(), {"transition": lambda v: list(v) == ["id"]})
            ways = {id_: to for id_, _, to in self.workflow[issue["status"]]}
            issue["status"] = ways[asked.json()["transition"]["id"]]
            return Told(204)
        if not rest and asked.method == "GET":
            return Told(200, {"key": issue["key"], "fields": {"status": status(issue["status"])}})
        return Told(405, {"errorMessages": ["Method Not Allowed"]})
