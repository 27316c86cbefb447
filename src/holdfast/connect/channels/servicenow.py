"""ServiceNow by its Table API: one record for each incident, known by its ``correlation_id``.

Format: https://www.servicenow.com/docs/bundle/zurich-api-reference/page/integrate/inbound-rest/concept/c_TableAPI.html (POST, GET, PATCH of
/api/now/table/{tableName}; sysparm_query, sysparm_fields, sysparm_limit, sysparm_display_value); states and codes are those of the base
incident table.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote, urlencode

from holdfast.connect.channels.contract import ChannelDown, ChannelRejected, Message, Reference
from holdfast.connect.channels.http import Answer, Web, host_of
from holdfast.connect.channels.words import cut, mark, plain

WEIGHT = {"P1": ("1", "1"), "P2": ("1", "2"), "P3": ("2", "2"), "P4": ("2", "3")}
"""(impact, urgency); the base priority matrix makes 1 to 4 of them."""
IN_PROGRESS, RESOLVED = "2", "6"
ENDED = (RESOLVED, "7", "8")
"""Resolved, closed, canceled. The base system lets nobody but an administrator change a record that is closed."""


@dataclass(frozen=True, slots=True)
class Settings:
    """``url`` of the instance; ``user`` None: ``token`` is a bearer token."""

    url: str
    token: str
    user: str | None = None
    table: str = "incident"
    fields: Mapping[str, str] = field(default_factory=dict)
    close_code: str = "Solution provided"


class ServiceNow:
    """Makes the record, adds work notes, resolves it. Of an incident that is opened again it takes the record back into work, or, where
    that is closed for good, makes another that names it.
    """

    kind: Literal["servicenow"] = "servicenow"
    settles = 0.0
    repeats = (
        "a record is looked for by correlation_id before it is made, a note by the message's id before it is repeated; an instance whose"
        " table has no correlation_id would get two"
    )

    def __init__(self, web: Web, settings: Settings) -> None:
        self._web, self._set = web, settings
        self._table = f"{settings.url.rstrip('/')}/api/now/table/{quote(settings.table)}"
        self.name = web.name

    def send(self, message: Message, reference: Reference | None = None, *, again: bool = False) -> Reference:
        if reference is None or "sys_id" not in reference.ids or not self._ours(reference):
            found = self._find(correlation(message))
            if found is None:
                return self._known(message, self._create(message, correlation(message)))
            reference, again = found, True
        if message.round > reference.round and message.kind != "resolved" and not message.over:
            return self._known(message, self._opened_again(message, reference, again=again))
        if again and self._noted(reference.ids["sys_id"], message):
            return reference
        # What belongs to a round before the one that the record was opened for moves nothing.
        change = self._change(message) if message.round >= reference.round else self._note(message)
        self._ask("PATCH", f"/{quote(reference.ids['sys_id'])}?sysparm_fields=sys_id", change, (200,))
        return reference

    def check(self) -> str:
        self._ask("GET", "?" + urlencode({"sysparm_limit": 1, "sysparm_fields": "sys_id"}), None, (200,))
        return f"ServiceNow shows the table {self._set.table}"

    def _ours(self, reference: Reference) -> bool:
        """Whether it names a record of this instance: the plan may name another one since."""
        return not reference.url or reference.url.startswith(f"{self._set.url.rstrip('/')}/nav_to.do")

    def _known(self, message: Message, reference: Reference) -> Reference:
        return reference.also(round=str(message.round)) if message.round > reference.round else reference

    def _opened_again(self, message: Message, reference: Reference, *, again: bool) -> Reference:
        """The record, back in work; or the one that goes on where it cannot be brought back."""
        number = reference.ids.get("number", reference.ids["sys_id"])
        following = correlation(message, message.round)
        path = f"/{quote(reference.ids['sys_id'])}"
        found = self._ask("GET", f"{path}?sysparm_fields=state", None, (200,))
        state = str(found.get("state", "")) if isinstance(found, dict) else ""
        if state in ENDED:
            # Made by an attempt whose answer was lost?
            if made := self._find(following):
                return made
            try:
                found = self._ask("PATCH", f"{path}?sysparm_fields=sys_id,state", {"state": IN_PROGRESS}, (200,))
            except ChannelRejected:
                found = {}
            # A rule that forbids it may also say nothing, and leave the state.
            if not isinstance(found, dict) or str(found.get("state", "")) in ("", *ENDED):
                return self._create(message, following, before=number)
        if not (again and self._noted(reference.ids["sys_id"], message)):
            self._ask("PATCH", f"{path}?sysparm_fields=sys_id", self._note(message), (200,))
        return reference

    def _create(self, message: Message, correlated: str, *, before: str = "") -> Reference:
        """``before``: the number of the record that this one goes on from."""
        impact, urgency = WEIGHT[message.severity]
        body = {
            **self._set.fields,
            "short_description": cut(message.headline, 160),
            "description": (f"Goes on from {before}, which is closed.\n\n" if before else "") + plain(message, 3900, marked=True),
            "impact": impact,
            "urgency": urgency,
            "correlation_id": correlated,
            "correlation_display": "Holdfast",
            **(self._resolution(message) if message.kind == "resolved" else {}),
        }
        found = self._ask("POST", "?sysparm_fields=sys_id,number", body, (201,))
        return self._reference(found if isinstance(found, dict) else {})

    def _note(self, message: Message) -> dict[str, str]:
        return {"work_notes": plain(message, 20_000, marked=True)}

    def _change(self, message: Message) -> dict[str, str]:
        change = self._note(message)
        if message.kind == "acknowledged":
            change["state"] = IN_PROGRESS
        return change | (self._resolution(message) if message.kind == "resolved" else {})

    def _resolution(self, message: Message) -> dict[str, str]:
        return {"state": RESOLVED, "close_code": self._set.close_code, "close_notes": cut(message.text.strip() or message.headline, 4000)}

    def _find(self, wanted: str) -> Reference | None:
        query = {
            "sysparm_query": f"correlation_id={wanted}^ORDERBYsys_created_on",
            "sysparm_fields": "sys_id,number,correlation_id",
            "sysparm_limit": 1,
        }
        found = self._ask("GET", "?" + urlencode(query), None, (200,))
        if not isinstance(found, list):
            # Nothing found is not the same as no answer: the record would be made again.
            raise self._web.strange(host_of(self._table), maybe=False)
        for one in found:
            # A field that the table lacks is left out of the query in silence, and any record would do.
            if one.get("correlation_id") == wanted:
                return self._reference(one)
        return None

    def _noted(self, sys_id: str, message: Message) -> bool:
        """Work notes are a journal: their text comes with display values alone."""
        query = urlencode({"sysparm_fields": "work_notes,description", "sysparm_display_value": "true"})
        found = self._ask("GET", f"/{quote(sys_id)}?{query}", None, (200,))
        text = " ".join(str(found.get(name, "")) for name in ("work_notes", "description")) if isinstance(found, dict) else ""
        return mark(message) in text

    def _reference(self, record: Mapping[str, Any]) -> Reference:
        sys_id, number = record.get("sys_id"), record.get("number")
        if not isinstance(sys_id, str) or not sys_id:
            raise ChannelDown(f"ServiceNow did not say which record it made (channel '{self.name}').", maybe=True, channel=self.name)
        shown = quote(f"{self._set.table}.do?sys_id={sys_id}", safe="")
        ids = {"sys_id": sys_id, **({"number": str(number)} if number else {})}
        return Reference(ids, f"{self._set.url.rstrip('/')}/nav_to.do?uri={shown}")

    def _ask(self, method: str, path: str, body: Any, wanted: tuple[int, ...]) -> Any:
        """What stands under ``result``."""
        if self._set.user is None:
            proof = f"Bearer {self._set.token}"
        else:
            proof = "Basic " + base64.b64encode(f"{self._set.user}:{self._set.token}".encode()).decode()
        answer = self._web.ask(method, f"{self._table}{path}", headers={"Authorization": proof}, body=body)
        if answer.status not in wanted:
            raise self._web.judge(answer, host_of(self._table), _said(answer), fix=_fix(answer.status))
        found = answer.mapping()
        if "result" not in found:
            # A sleeping instance answers 200 with a page.
            raise self._web.strange(host_of(self._table), maybe=method != "GET")
        return found["result"]


def correlation(message: Message, round_: int = 1) -> str:
    """At most 100 characters, none of which a query would read as an operator. ``round_``: of a record that goes on from a closed one."""
    whole = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"holdfast-{message.platform}-{message.incident}" + (f"-{round_}" if round_ > 1 else ""))
    return whole if len(whole) <= 100 else f"holdfast-{hashlib.sha256(whole.encode()).hexdigest()}"


def _said(answer: Answer) -> str:
    error = answer.mapping().get("error")
    return f"{error.get('message', '')} {error.get('detail') or ''}" if isinstance(error, dict) else str(error or "")


def _fix(status: int) -> str:
    return {
        400: "Check table: and the names in fields:.",
        401: "Renew the password or the token.",
        403: "Give the user the roles to read and write the table (itil), and check the business rules on it.",
        404: "Check url: and table:, and whether the record was deleted.",
    }.get(status, "")
