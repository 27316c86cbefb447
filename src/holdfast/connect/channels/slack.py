"""Slack, by a bot's token (a thread for each incident) or by an incoming webhook.

Formats: https://docs.slack.dev/reference/methods/chat.postMessage, …/conversations.history and …/conversations.replies (a message found
again by the id of a block), https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks,
https://docs.slack.dev/reference/block-kit/blocks (lengths), https://docs.slack.dev/apis/web-api/rate-limits.
"""

import contextlib
import datetime as dt
from typing import Any, Literal
from urllib.parse import urlencode

from holdfast.connect.channels.contract import ChannelDown, ChannelRejected, Message, Reference
from holdfast.connect.channels.http import Answer, Web, host_of
from holdfast.connect.channels.words import about, cut

PASSING = {"ratelimited", "rate_limited", "service_unavailable", "internal_error", "fatal_error", "request_timeout", "team_added_to_org"}
"""Answers that say: later. What was done before some of them is unknown."""
BLIND = {"missing_scope", "not_in_channel", "no_permission", "access_denied", "not_allowed_token_type"}
"""Answers of a look-up that a bot may not make; posting needs none of these rights."""
FIXES = {
    "channel_not_found": "Invite the bot to the conversation, and check its id in to:.",
    "not_in_channel": "Invite the bot to the conversation.",
    "is_archived": "The conversation is archived: name another in to:.",
    "missing_scope": "Give the bot the scope chat:write.",
    **dict.fromkeys(("invalid_auth", "not_authed", "token_revoked", "token_expired", "account_inactive"), "Renew the bot's token."),
}
SIGN = {"P1": "\N{LARGE RED CIRCLE}", "P2": "\N{LARGE ORANGE CIRCLE}", "P3": "\N{LARGE YELLOW CIRCLE}", "P4": "\N{LARGE BLUE CIRCLE}"}
BROADCAST = ("declared", "escalated", "resolved")
"""Kinds that everybody must see, also where they belong to a thread (an incident that is opened again is declared in its own)."""
PAGES = 10


class SlackBot:
    """Posts in one conversation; what belongs to an incident goes into its thread, and what everybody must see into both. Where the plan
    names another conversation than the thread's, a new thread begins there, and each says where the other is.
    """

    kind: Literal["slack"] = "slack"
    settles = 0.0
    repeats = (
        "a message of unknown fate is looked for in the thread, or in the conversation, before it is posted again; without the scope"
        " channels:history (groups:history) it cannot be, and may stand there twice"
    )

    def __init__(self, web: Web, token: str, conversation: str, *, api: str = "https://slack.com/api") -> None:
        self._web, self._token, self._conversation, self._api = web, token, conversation, api.rstrip("/")
        self.name = web.name

    def send(self, message: Message, reference: Reference | None = None, *, again: bool = False) -> Reference:
        elsewhere = reference if reference is not None and reference.ids.get("channel", self._conversation) != self._conversation else None
        if elsewhere is not None:
            reference = None
        thread = reference.ids.get("ts") if reference else None
        stamp = self._find(message, reference) if again else None
        found_again = stamp is not None
        if stamp is None:
            body: dict[str, Any] = {
                "channel": self._conversation,
                "text": _escaped(message.headline),
                "blocks": blocks(message, _begun_at(elsewhere) if elsewhere else ""),
                "metadata": {"event_type": "holdfast_message", "event_payload": {"incident": message.incident, "message": message.key}},
                "unfurl_links": False,
                "unfurl_media": False,
            }
            if thread:
                body |= {"thread_ts": thread, "reply_broadcast": message.kind in BROADCAST}
            found = self._call("chat.postMessage", body)
            stamp = found.get("ts")
            if not isinstance(stamp, str):
                raise ChannelDown(f"Slack did not say which message it made (channel '{self.name}').", maybe=True, channel=self.name)
        if thread and reference:
            return reference.also(last=stamp)
        link = self._link(stamp)
        if elsewhere is not None and not found_again:
            self._goes_on(elsewhere, link)
        return Reference({"channel": self._conversation, "ts": stamp, "last": stamp}, link)

    def _goes_on(self, elsewhere: Reference, link: str) -> None:
        """A word for who reads the old thread. The message itself is told: that this is not possible any more is no failure of it."""
        if "ts" not in elsewhere.ids:
            return
        there = f"<{_escaped(link).replace('|', '%7C')}|here>" if link else f"in <#{self._conversation}>"
        text = f"What comes next is told {there}: the plan names another conversation now."
        body = {"channel": elsewhere.ids["channel"], "text": text, "thread_ts": elsewhere.ids["ts"], "unfurl_links": False}
        with contextlib.suppress(ChannelDown, ChannelRejected):
            self._call("chat.postMessage", body)

    def check(self) -> str:
        found = self._call("auth.test", {})
        return f"Slack takes the token ({found.get('team', '?')}, as {found.get('user', '?')})"

    def _find(self, message: Message, reference: Reference | None) -> str | None:
        """The time stamp of the message that an earlier attempt left there."""
        query = {"channel": self._conversation, "limit": "200", "inclusive": "true"}
        method = "conversations.history"
        if reference and "ts" in reference.ids:
            method = "conversations.replies"
            query |= {"ts": reference.ids["ts"], "oldest": reference.ids.get("last", reference.ids["ts"])}
        elif message.at:
            query["oldest"] = _an_hour_before(message.at)
        for _ in range(PAGES):
            found = self._call(f"{method}?{urlencode(query)}", None, blind=True)
            messages = found.get("messages", [])
            if not isinstance(messages, list) or (found and "messages" not in found):
                raise self._web.strange(host_of(self._api), maybe=False)
            for one in messages:
                if isinstance(one, dict) and any(
                    isinstance(b, dict) and b.get("block_id") == _mark(message) for b in one.get("blocks") or ()
                ):
                    return str(one.get("ts"))
            cursor = (found.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                break
            query["cursor"] = cursor
        return None

    def _link(self, stamp: str) -> str:
        """Where people open it; empty when Slack does not say, which is no reason to call the message lost."""
        query = urlencode({"channel": self._conversation, "message_ts": stamp})
        try:
            return str(self._call(f"chat.getPermalink?{query}", None).get("permalink", ""))
        except (ChannelDown, ChannelRejected):
            return ""

    def _call(self, method: str, body: dict[str, Any] | None, *, blind: bool = False) -> dict[str, Any]:
        """The answer of a method. ``blind``: a missing right gives an empty one."""
        url = f"{self._api}/{method}"
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = self._web.ask("GET" if body is None else "POST", url, headers=headers, body=body)
        found = answer.mapping()
        if answer.status == 200 and found.get("ok") is True:
            return found
        error = str(found.get("error", ""))
        if blind and error in BLIND:
            return {}
        if answer.status == 200 and error in PASSING:
            answer = Answer(429 if error.startswith("rate") else 503, answer.headers, answer.body)
        elif answer.status == 200 and not error:
            raise self._web.strange(host_of(url), maybe=True)
        if answer.status == 200:
            raise ChannelRejected(
                f"Slack refused: {error[:100]} (channel '{self.name}').",
                hint=FIXES.get(error, "Look the word up in Slack's list of errors of chat.postMessage."),
                channel=self.name,
            )
        raise self._web.judge(answer, host_of(url), error, fix=FIXES.get(error, ""))


class SlackWebhook:
    """Posts where Slack bound the webhook to. It says nothing back that a thread could be made of."""

    kind: Literal["slack"] = "slack"
    settles = 0.0
    repeats = "an incoming webhook knows no key and shows nothing back: a message of unknown fate is posted again and may stand there twice"

    def __init__(self, web: Web, url: str) -> None:
        self._web, self._url = web, url
        self.name = web.name

    def send(self, message: Message, reference: Reference | None = None, *, again: bool = False) -> Reference:
        del again
        self._post({"text": _escaped(message.headline), "blocks": blocks(message)}, "ok")
        return reference or Reference()

    def check(self) -> str:
        # Without a text nothing is posted; an unknown webhook is told first.
        self._post({"text": ""}, "no_text")
        return "Slack knows the webhook"

    def _post(self, body: dict[str, Any], wanted: str) -> None:
        answer = self._web.ask("POST", self._url, body=body)
        said = answer.body.decode("utf-8", "replace").strip()
        if said == wanted:
            return
        if answer.status == 200:
            raise self._web.strange(host_of(self._url), maybe=True)
        known = said if said.replace("_", "").isalpha() and len(said) < 60 else ""
        raise self._web.judge(answer, host_of(self._url), known, fix="Make a new webhook in Slack, and put it where the plan says.")


def _begun_at(elsewhere: Reference) -> str:
    """Where the thread was before, in Slack's own marks."""
    place = f"<{_escaped(elsewhere.url).replace('|', '%7C')}|there>" if elsewhere.url else f"in <#{elsewhere.ids['channel']}>"
    return f"What was told before stands {place}."


def blocks(message: Message, before: str = "") -> list[dict[str, Any]]:
    """The message for people: at most 150 characters of a header, 3,000 of a section (Block Kit's limits). ``before``: in Slack's marks."""
    found: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": cut(f"{SIGN[message.severity]} {message.headline}", 150)}}
    ]
    text = _escaped(cut(message.text.strip(), 6000))
    facts = "\n".join(f"*{_escaped(name)}*: {_escaped(value)}" for name, value in message.facts.items())
    links = "\n".join(f"<{_escaped(link.url).replace('|', '%7C')}|{_escaped(link.title).replace('|', '/')}>" for link in message.links)
    found += [
        {"type": "section", "text": {"type": "mrkdwn", "text": piece}} for part in (before, text, facts, links) for piece in _pieces(part)
    ]
    last = {"type": "plain_text", "text": cut(about(message) + (" — a drill" if message.drill else ""), 2000)}
    return [*found[:40], {"type": "context", "block_id": _mark(message), "elements": [last]}]


def _pieces(text: str) -> list[str]:
    """At most 3,000 characters each, whole lines where they are not longer themselves."""
    found: list[str] = []
    while text:
        end = len(text) if len(text) <= 3000 else text.rfind("\n", 1, 3000) + 1 or 3000
        found.append(text[:end].rstrip("\n") or " ")
        text = text[end:]
    return found


def _mark(message: Message) -> str:
    return f"holdfast:{message.key}"[:255]


def _escaped(text: str) -> str:
    """Nobody's text mentions a whole channel or makes a link (https://docs.slack.dev/messaging/formatting-message-text)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _an_hour_before(moment: str) -> str:
    """Unix seconds: the clocks of two services may differ."""
    try:
        return f"{dt.datetime.fromisoformat(moment).timestamp() - 3600:.6f}"
    except ValueError:
        return "0"
