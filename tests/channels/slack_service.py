"""Slack as its reference describes it: what a bot and an incoming webhook may send (docs.slack.dev)."""

from tests.channels.serving import Asked, Service, Told, Wrong, exactly, text

TOKEN = "xoxb-not-a-real-token"
CONVERSATION = "C0123ABCD"
HOOK = "/services/T000/B000/sEcReTpAtH"


def is_block(block: object) -> bool:
    if not isinstance(block, dict):
        return False
    kind = block.get("type")
    if kind == "header":
        exactly(block, {"type": str, "text": dict}, {"block_id": text(255)})
        exactly(block["text"], {"type": lambda v: v == "plain_text", "text": text(150)}, {"emoji": bool})
    elif kind == "section":
        exactly(block, {"type": str, "text": dict}, {"block_id": text(255)})
        exactly(block["text"], {"type": lambda v: v in ("mrkdwn", "plain_text"), "text": text(3000)})
    elif kind == "context":
        exactly(block, {"type": str, "elements": lambda v: isinstance(v, list) and 1 <= len(v) <= 10}, {"block_id": text(255)})
        for element in block["elements"]:
            exactly(element, {"type": lambda v: v in ("mrkdwn", "plain_text"), "text": text(2000)})
    else:
        return False
    return True


def blocks(value: object) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= 50 and all(is_block(one) for one in value)


class Slack(Service):
    """``posted``: the messages of its conversations, oldest first. ``rights``: a bot may always post."""

    def __init__(self, tls=None) -> None:
        self.posted: list[dict] = []
        self.conversations = {CONVERSATION}
        self.rights = {"chat:write", "channels:history"}
        self.members = True
        super().__init__(tls)

    @property
    def api(self) -> str:
        return f"{self.url}/api"

    def refuse(self, why):
        return Told(200, {"ok": False, "error": "invalid_arguments", "response_metadata": {"messages": [why]}})

    def handle(self, asked: Asked) -> Told:
        if asked.path.startswith("/services/"):
            return self.hook(asked)
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return Told(200, {"ok": False, "error": "invalid_auth"})
        method = asked.path.removeprefix("/api/")
        if asked.method == "POST" and not asked.headers.get("content-type", "").startswith("application/json; charset=utf-8"):
            raise Wrong("content type")
        if method == "auth.test":
            return Told(200, {"ok": True, "team": "Shop", "user": "holdfast", "team_id": "T0", "user_id": "U0"})
        if method == "chat.postMessage":
            return self.post(asked.json())
        if method == "chat.getPermalink":
            exactly(asked.query, {"channel": str, "message_ts": str})
            return Told(
                200, {"ok": True, "permalink": f"https://shop.slack.com/archives/{asked.query['channel']}/p{asked.query['message_ts']}"}
            )
        if method in ("conversations.history", "conversations.replies"):
            return self.history(method, asked.query)
        return Told(200, {"ok": False, "error": "unknown_method"})

    def post(self, body) -> Told:
        exactly(
            body,
            {"channel": str, "text": text(40_000)},
            {"blocks": blocks, "thread_ts": str, "reply_broadcast": bool, "metadata": dict, "unfurl_links": bool, "unfurl_media": bool},
        )
        if "metadata" in body:
            exactly(body["metadata"], {"event_type": text(255), "event_payload": dict})
        if body["channel"] not in self.conversations:
            return Told(200, {"ok": False, "error": "channel_not_found"})
        if not self.members:
            return Told(200, {"ok": False, "error": "not_in_channel"})
        if "thread_ts" in body and body["thread_ts"] not in [one["ts"] for one in self.posted if one["channel"] == body["channel"]]:
            raise Wrong("no such thread")
        stamp = f"{1_777_636_800 + len(self.posted)}.{len(self.posted):06d}"
        self.posted.append({**body, "ts": stamp})
        return Told(200, {"ok": True, "channel": CONVERSATION, "ts": stamp, "message": {"type": "message", "text": body["text"]}})

    def history(self, method, query) -> Told:
        replies = method.endswith("replies")
        exactly(query, {"channel": str, **({"ts": str} if replies else {})}, {"limit": str, "oldest": str, "cursor": str, "inclusive": str})
        if "channels:history" not in self.rights:
            return Told(200, {"ok": False, "error": "missing_scope", "needed": "channels:history", "provided": "chat:write"})
        if query["channel"] not in self.conversations:
            return Told(200, {"ok": False, "error": "channel_not_found"})
        here = [one for one in self.posted if one["channel"] == query["channel"]]
        if replies:
            found = [one for one in here if query["ts"] in (one["ts"], one.get("thread_ts"))]
        else:
            found = [one for one in reversed(here) if "thread_ts" not in one or one.get("reply_broadcast")]
        oldest, inclusive = float(query.get("oldest", 0)), query.get("inclusive") == "true"
        found = [one for one in found if float(one["ts"]) > oldest or (inclusive and float(one["ts"]) == oldest)]
        # Pages of two, so that a client that reads one alone is found out.
        begin = int(query.get("cursor", "0"))
        page = found[begin : begin + 2]
        more = {"next_cursor": str(begin + 2)} if begin + 2 < len(found) else {"next_cursor": ""}
        shown = [{"type": "message", "ts": one["ts"], "text": one["text"], "blocks": one.get("blocks", [])} for one in page]
        return Told(200, {"ok": True, "messages": shown, "has_more": bool(more["next_cursor"]), "response_metadata": more})

    def hook(self, asked: Asked) -> Told:
        if asked.path != HOOK:
            return Told(404, b"no_service")
        body = asked.json()
        if not body.get("text"):
            return Told(400, b"no_text")
        exactly(body, {"text": text(40_000)}, {"blocks": blocks})
        self.posted.append({**body, "ts": f"{len(self.posted)}.0"})
        return Told(200, b"ok", {"Content-Type": "text/html"})
