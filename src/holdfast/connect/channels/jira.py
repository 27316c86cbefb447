"""Jira Cloud (REST API v3, texts as Atlassian Document Format) and Data Center (v2, plain texts): one issue for each incident.

Formats: https://developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/#api-rest-api-3-issue-post,
…/api-group-issue-comments/, …/api-group-issue-search/#api-rest-api-3-search-jql-post, https://developer.atlassian.com/cloud/jira/platform/apis/document/structure/,
https://developer.atlassian.com/server/jira/platform/rest/ (issue, comment with properties, transitions, search).
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote, urlencode

from holdfast.connect.channels.contract import ChannelDown, ChannelFailed, ChannelRejected, Message, Reference
from holdfast.connect.channels.http import Answer, Web, host_of
from holdfast.connect.channels.words import cut, plain

PROPERTY = "holdfast"
LONGEST = 30_000
"""Characters; Jira's own limit for a text is 32,767."""


@dataclass(frozen=True, slots=True)
class Settings:
    """``url`` of the site; ``user`` None: ``token`` is a personal access token. ``priority``: the project's names of P1 to P4; ``done``:
    the transition, or its goal, when an incident is resolved; ``reopen``: when it is opened again, None for what the workflow offers.
    """

    url: str
    token: str
    project: str
    user: str | None = None
    type: str = "Task"
    cloud: bool = True
    labels: tuple[str, ...] = ()
    priority: Mapping[str, str] = field(default_factory=dict)
    done: str | None = None
    reopen: str | None = None


class Jira:
    """Makes the issue, comments on it, and moves it when the incident is resolved or opened again."""

    kind: Literal["jira"] = "jira"
    repeats = (
        "an issue is looked for by the incident's label before it is made, a comment by its property before it is repeated; Jira Cloud"
        " finds a new issue only seconds after it was made, so one of unknown fate that is asked for within them may be made twice"
    )

    def __init__(self, web: Web, settings: Settings) -> None:
        self._web, self._set = web, settings
        self._api = f"{settings.url.rstrip('/')}/rest/api/{3 if settings.cloud else 2}"
        self.name = web.name
        # The Cloud's search sees a new issue only after a while; a server's index does at once.
        self.settles = 30.0 if settings.cloud else 0.0

    def send(self, message: Message, reference: Reference | None = None, *, again: bool = False) -> Reference:
        if reference is None or "key" not in reference.ids or not self._ours(reference):
            # Also when nothing was tried before: what the sender knew may be lost.
            key, made = self._find(message), False
            if key is None:
                key, made = self._create(message), True
            reference = Reference({"key": key}, f"{self._set.url.rstrip('/')}/browse/{key}")
            if made:
                return self._finish(message, reference)
            again = True
            if self._opens(key, message):
                return self._finish(message, reference)
        if reference.ids.get("said") != message.key and not (again and self._commented(reference.ids["key"], message)):
            self._ask(
                "POST",
                f"issue/{quote(reference.ids['key'])}/comment",
                {"body": self._text(plain(message, LONGEST)), "properties": [{"key": PROPERTY, "value": {"message": message.key}}]},
                (201,),
            )
        return self._finish(message, reference)

    def check(self) -> str:
        who = self._ask("GET", "myself", None, (200,)).get("displayName", "?")
        project = self._ask("GET", f"project/{quote(self._set.project)}", None, (200,)).get("key", "?")
        return f"Jira takes the token (of {who}) and shows the project {project}"

    def _finish(self, message: Message, reference: Reference) -> Reference:
        """Move the issue when the incident is over, or opened again. What was said is said, if that fails. What belongs to a round before
        the one that the issue was opened for moves nothing.
        """
        again = message.round > reference.round
        try:
            if message.kind == "resolved" and self._set.done and message.round >= reference.round:
                self._move(reference.ids["key"], self._set.done)
            elif again and message.kind != "resolved" and not message.over:
                self._open_again(reference.ids["key"])
        except ChannelFailed as error:
            error.so_far = reference.also(said=message.key)
            raise
        known = reference.also(round=str(message.round)) if again else reference
        return Reference({name: value for name, value in known.ids.items() if name != "said"}, known.url)

    def _ours(self, reference: Reference) -> bool:
        """Whether it names an issue of this site: the plan may name another one since, where the same key is a stranger's."""
        return not reference.url or reference.url.startswith(f"{self._set.url.rstrip('/')}/browse/")

    def _find(self, message: Message) -> str | None:
        project, label = (re.sub(r'(["\\])', r"\\\1", text) for text in (self._set.project, label_of(message)))
        asked = {"jql": f'project = "{project}" AND labels = "{label}" ORDER BY created ASC', "maxResults": 1, "fields": ["labels"]}
        found = self._ask("POST", "search/jql" if self._set.cloud else "search", asked, (200,)).get("issues")
        for one in self._list(found):
            if label_of(message) in (one.get("fields") or {}).get("labels", ()):
                return str(one["key"])
        return None

    def _create(self, message: Message) -> str:
        fields: dict[str, Any] = {
            "project": {"key": self._set.project},
            "issuetype": {"name": self._set.type},
            "summary": cut(message.headline, 255),
            "description": self._text(plain(message, LONGEST, headline=False)),
            "labels": [label_of(message), "holdfast", *(["drill"] if message.drill else []), *self._set.labels],
        }
        if message.severity in self._set.priority:
            fields["priority"] = {"name": self._set.priority[message.severity]}
        known = [{"key": PROPERTY, "value": {"incident": message.incident, "message": message.key, "drill": message.drill}}]
        key = self._ask("POST", "issue", {"fields": fields, "properties": known}, (201,)).get("key")
        if not isinstance(key, str) or not key:
            raise ChannelDown(f"Jira did not say which issue it made (channel '{self.name}').", maybe=True, channel=self.name)
        return key

    def _opens(self, key: str, message: Message) -> bool:
        """Whether the issue was made by this very message."""
        path = f"issue/{quote(key)}/properties/{PROPERTY}"
        value = self._ask("GET", path, None, (200, 404)).get("value")
        return isinstance(value, dict) and value.get("message") == message.key

    def _commented(self, key: str, message: Message) -> bool:
        query = urlencode({"orderBy": "-created", "maxResults": 100, "expand": "properties"})
        comments = self._ask("GET", f"issue/{quote(key)}/comment?{query}", None, (200,)).get("comments")
        return any(
            one.get("key") == PROPERTY and isinstance(one.get("value"), dict) and one["value"].get("message") == message.key
            for comment in self._list(comments)
            for one in comment.get("properties") or ()
        )

    def _move(self, key: str, goal: str) -> None:
        path = f"issue/{quote(key)}/transitions"
        offered = [one for one in self._ask("GET", path, None, (200,)).get("transitions") or () if isinstance(one, dict)]
        named = [(str(one.get("name", "")), str((one.get("to") or {}).get("name", "")), str(one.get("id", ""))) for one in offered]
        chosen = next((id_ for name, to, id_ in named if goal.casefold() in (name.casefold(), to.casefold())), None)
        if chosen is not None:
            self._ask("POST", path, {"transition": {"id": chosen}}, (204,))
            return
        fields = self._ask("GET", f"issue/{quote(key)}?fields=status", None, (200,)).get("fields") or {}
        status = str((fields.get("status") or {}).get("name", "?"))
        if status.casefold() != goal.casefold():
            ways = ", ".join(f"{name} (to {to})" for name, to, _ in named) or "none"
            raise ChannelRejected(
                f"{key} is '{status}', from where nothing leads to '{goal}' (channel '{self.name}'); there is: {ways}.",
                hint="Write one of them as the channel's done:, or move the issue by hand.",
                channel=self.name,
            )

    def _open_again(self, key: str) -> None:
        """Back from an end of the workflow, wherever it came from; an issue that is at none is left where it is."""
        fields = self._ask("GET", f"issue/{quote(key)}?fields=status", None, (200,)).get("fields") or {}
        status = fields.get("status") or {}
        name = str(status.get("name", "?"))
        if _category(status) != "done" and name.casefold() != (self._set.done or "").casefold():
            return
        path = f"issue/{quote(key)}/transitions"
        offered = [one for one in self._ask("GET", path, None, (200,)).get("transitions") or () if isinstance(one, dict)]
        chosen = _way_back(offered, self._set.reopen)
        if chosen is not None:
            self._ask("POST", path, {"transition": {"id": chosen}}, (204,))
            return
        ways = ", ".join(f"{one.get('name')} (to {(one.get('to') or {}).get('name')})" for one in offered) or "none"
        wanted = f"to '{self._set.reopen}'" if self._set.reopen else "back into work"
        raise ChannelRejected(
            f"{key} is '{name}', from where nothing leads {wanted} (channel '{self.name}'); there is: {ways}.",
            hint="Write one of them as the channel's reopen:, or move the issue by hand.",
            channel=self.name,
        )

    def _list(self, found: Any) -> list[Any]:
        """Nothing found is not the same as no answer: what was there would be made again."""
        if not isinstance(found, list):
            raise self._web.strange(host_of(self._api), maybe=False)
        return found

    def _text(self, text: str) -> Any:
        return adf(text) if self._set.cloud else text

    def _ask(self, method: str, path: str, body: Any, wanted: tuple[int, ...]) -> dict[str, Any]:
        if self._set.user is None:
            proof = f"Bearer {self._set.token}"
        else:
            proof = "Basic " + base64.b64encode(f"{self._set.user}:{self._set.token}".encode()).decode()
        url = f"{self._api}/{path}"
        answer = self._web.ask(method, url, headers={"Authorization": proof}, body=body)
        found = answer.mapping()
        if answer.status not in wanted:
            raise self._web.judge(answer, host_of(url), _said(answer), fix=_fix(answer.status))
        if answer.status in (200, 201) and not found:
            raise self._web.strange(host_of(url), maybe=method == "POST")
        return found


def _category(status: Mapping[str, Any]) -> str:
    """new, indeterminate (in work) or done; '' where the site does not say."""
    return str((status.get("statusCategory") or {}).get("key", ""))


def _way_back(offered: list[dict[str, Any]], named: str | None) -> str | None:
    """The id of the transition that opens an issue again: the one that the plan names; else one that is called so; else the first that
    leads to where work has not begun, or goes on.
    """
    goals = [(str(one.get("id", "")), str(one.get("name", "")), one.get("to") or {}) for one in offered]
    if named is not None:
        return next((id_ for id_, name, to in goals if named.casefold() in (name.casefold(), str(to.get("name", "")).casefold())), None)
    called = [id_ for id_, name, to in goals if "reopen" in name.casefold().replace("-", "") and _category(to) != "done"]
    begun = [id_ for wanted in ("new", "indeterminate") for id_, _, to in goals if _category(to) == wanted]
    return next(iter([*called, *begun]), None)


def label_of(message: Message) -> str:
    """A label has no spaces and at most 255 characters."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", f"holdfast-{message.platform}-{message.incident}")[:255]


def adf(text: str) -> dict[str, Any]:
    """Plain text as an Atlassian Document: a paragraph for each block of lines."""
    paragraphs = []
    for block in text.split("\n\n"):
        content: list[dict[str, Any]] = []
        for line in block.strip("\n").split("\n"):
            if content:
                content.append({"type": "hardBreak"})
            if line:
                content.append({"type": "text", "text": line})
        paragraphs.append({"type": "paragraph", "content": content})
    return {"type": "doc", "version": 1, "content": paragraphs}


def _said(answer: Answer) -> str:
    found = answer.mapping()
    messages, errors = found.get("errorMessages"), found.get("errors")
    parts = [str(one) for one in messages] if isinstance(messages, list) else []
    parts += [f"{name}: {value}" for name, value in errors.items()] if isinstance(errors, dict) else []
    return "; ".join(parts)


def _fix(status: int) -> str:
    return {
        400: "The project's screen or type of issue does not take what is sent: check type:, priority: and the fields it demands.",
        401: "Renew the token; with an API token of the Cloud, user: is the account's mail address.",
        403: "Let the token's user browse, create and comment in the project.",
        404: "Check url: and project:, and whether the issue was deleted.",
    }.get(status, "")
