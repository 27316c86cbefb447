"""ServiceNow's Table API on the base incident table, as its reference describes it."""

import base64

from tests.channels.serving import Asked, Service, Told, Wrong, exactly, text

USER, PASSWORD = "holdfast.bot", "password-that-is-secret"
WRITABLE = {
    "short_description": text(160),
    "description": text(4000),
    "impact": lambda v: v in ("1", "2", "3"),
    "urgency": lambda v: v in ("1", "2", "3"),
    "correlation_id": text(100),
    "correlation_display": text(100),
    "assignment_group": text(100),
    "state": lambda v: v in ("1", "2", "3", "6", "7", "8"),
    "close_code": lambda v: v == "Solution provided",
    "close_notes": text(4000),
    "work_notes": text(30_000),
}


class Now(Service):
    """``records`` by sys_id; ``correlated``: whether the table has the field correlation_id; ``closed_for_good``: how a change of a record
    that is closed is refused: told, or in silence.
    """

    def __init__(self, tls=None) -> None:
        self.records: dict[str, dict] = {}
        self.correlated = True
        self.closed_for_good = "told"
        super().__init__(tls)

    def refuse(self, why):
        return Told(400, {"error": {"message": "Exception while reading request", "detail": why}, "status": "failure"})

    def handle(self, asked: Asked) -> Told:
        if asked.headers.get("authorization") != "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode():
            return Told(
                401, {"error": {"message": "User Not Authenticated", "detail": "Required to provide Auth information"}, "status": "failure"}
            )
        base = "/api/now/table/incident"
        if not asked.path.startswith(base):
            return Told(400, {"error": {"message": "Invalid table", "detail": None}, "status": "failure"})
        exactly(asked.query, {}, dict.fromkeys(("sysparm_query", "sysparm_fields", "sysparm_limit", "sysparm_display_value"), str))
        sys_id = asked.path.removeprefix(base).strip("/")
        if asked.method == "POST" and not sys_id:
            exactly(asked.json(), {"short_description": str}, WRITABLE)
            self.resolvable(asked.json())
            sys_id = f"{len(self.records):032x}"
            number = f"INC{len(self.records) + 10001:07d}"
            self.records[sys_id] = {"sys_id": sys_id, "number": number, "notes": [], "state": "1", **asked.json()}
            return Told(201, {"result": self.shown(self.records[sys_id], asked)})
        if asked.method == "GET" and not sys_id:
            return Told(200, {"result": [self.shown(one, asked) for one in self.found(asked)]})
        record = self.records.get(sys_id)
        if record is None:
            return Told(
                404, {"error": {"message": "No Record found", "detail": "Record doesn't exist or ACL restricts"}, "status": "failure"}
            )
        if asked.method == "PATCH":
            exactly(asked.json(), {}, WRITABLE)
            change = asked.json()
            self.resolvable(change)
            if record["state"] in ("7", "8"):
                if self.closed_for_good == "told":
                    return Told(
                        403, {"error": {"message": "Operation Failed", "detail": "ACL Exception Update Failed"}, "status": "failure"}
                    )
                change = {}
            record["notes"] += [change.pop("work_notes")] if "work_notes" in change else []
            record |= change
        elif asked.method != "GET":
            return Told(405)
        return Told(200, {"result": self.shown(record, asked)})

    def resolvable(self, change) -> None:
        if change.get("state") == "6" and not (change.get("close_code") and change.get("close_notes")):
            raise Wrong("Data Policy Exception: close_code, close_notes are mandatory")

    def found(self, asked: Asked):
        wanted = asked.query.get("sysparm_query", "").split("^")[0]
        limit = int(asked.query.get("sysparm_limit", "10000"))
        field, _, value = wanted.partition("=")
        # A field that the table does not have is left out of the query in silence.
        rows = [one for one in self.records.values() if not field or not self.correlated or one.get(field) == value]
        return rows[:limit]

    def shown(self, record, asked: Asked):
        row = {**record, "work_notes": "\n\n".join(reversed(record["notes"])) if asked.query.get("sysparm_display_value") == "true" else ""}
        row.pop("notes")
        if not self.correlated:
            row.pop("correlation_id", None)
        names = asked.query.get("sysparm_fields", "")
        return {name: row[name] for name in names.split(",") if name in row} if names else row
