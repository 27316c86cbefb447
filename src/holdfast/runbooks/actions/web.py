"""``http``: one request; what is inserted into its URL is percent-encoded, what is inserted into its JSON stays one value."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from pydantic import Field

from holdfast.connect.web import WebFailed, request
from holdfast.plan.shape.base import Part
from holdfast.plan.shape.types import Text
from holdfast.runbooks.actions.commands import quoted
from holdfast.runbooks.actions.contract import Call, Fault, Result
from holdfast.runbooks.actions.output import Capture, Redactor
from holdfast.runbooks.format.insert import REFERENCE, as_text, insert, references, whole
from holdfast.runbooks.outputs import read_json

_GONE = (404, 410)


class HttpPart(Part):
    """``expect``: statuses that mean success. ``json`` is sent as such; ``ca`` a file of certificates to trust."""

    method: Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    url: Text
    headers: dict[str, Text] = Field(default_factory=dict)
    body: Any = Field(None, alias="json")
    expect: tuple[int, ...] | int = (200, 201, 202, 204)
    ca: Text | None = None


class Http:
    name = "http"
    shape: type[Part] = HttpPart
    short: str | None = "url"
    verbatim: frozenset[str] = frozenset()
    for_secrets = frozenset({"headers", "json"})

    def examine(self, spec: Mapping[str, Any]) -> list[Fault]:
        faults = []
        url = str(spec["url"])
        bare = REFERENCE.sub("x", url)
        if whole(url) is None:
            found = re.match(r"https?://([^/?#]*)", url)
            if found is None or "://" not in bare:
                faults.append(Fault(("url",), f"'{url}' is no http or https URL", "begin with https://"))
            elif any(references(found[1])):
                faults.append(Fault(("url",), "the server's name is inserted", "name the server, or insert the whole URL from a parameter"))
            elif "@" in found[1]:
                faults.append(Fault(("url",), "credentials stand in the URL", "give them in headers:, from a secret"))
        wrong = [name for name in spec.get("headers", {}) if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name)]
        return [*faults, *(Fault(("headers", name), f"'{name}' is no name of a header") for name in wrong)]

    def repeatable(self, spec: Mapping[str, Any]) -> bool:
        return spec.get("method", "GET") in ("GET", "HEAD")

    def told(self, spec: Mapping[str, Any], variable: Callable[[str], str]) -> str:
        words = ["curl -sS -w '%{http_code}\\n'", *(["-X " + spec["method"]] if spec.get("method", "GET") != "GET" else [])]
        words += [f"-H {quoted(f'{name}: {value}', variable)}" for name, value in spec.get("headers", {}).items()]
        words += [f"--cacert {quoted(spec['ca'], variable)}"] if spec.get("ca") else []
        if spec.get("json") is not None:
            body = quoted(json.dumps(spec["json"], ensure_ascii=False), variable)
            words += [f"-H 'Content-Type: application/json' -d {body}"]
        return " ".join([*words, quoted(str(spec["url"]), variable)])

    def run(self, spec: Mapping[str, Any], call: Call) -> Result:
        method, expect = spec.get("method", "GET"), spec.get("expect", (200, 201, 202, 204))
        wanted = (expect,) if isinstance(expect, int) else tuple(expect)
        url = as_text(insert(spec["url"], call.values, lambda value: quote(as_text(value), safe="")))
        headers = {name: as_text(insert(value, call.values)) for name, value in spec.get("headers", {}).items()}
        given = insert(spec.get("json"), call.values)
        body = None if given is None else json.dumps(given, ensure_ascii=False).encode()
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        clean = Redactor(call.secrets)
        if not re.match(r"https?://[^/?#@]+([/?#]|$)", url):
            return Result("failed", None, f"'{clean.text(url)}' is no http or https URL")
        capture = Capture(call.secrets)
        try:
            ca = call.directory / Path(spec["ca"]).expanduser() if spec.get("ca") else None
            status = request(
                method, url, headers=headers, body=body, timeout=call.timeout, take=capture.feed, now=call.clock.monotonic, ca=ca
            )
        except (WebFailed, ValueError, OSError) as error:
            return Result("failed", None, clean.text(str(error).rstrip(".")), {"out": capture.end()})
        streams = {"out": capture.end()}
        document = read_json(capture.whole)
        if status in wanted:
            return Result("ok", True, "", streams, document, capture.whole, status)
        answer = False if status in _GONE else None
        return Result(
            "failed", answer, f"the answer was {status}, not {' or '.join(map(str, wanted))}", streams, document, capture.whole, status
        )
