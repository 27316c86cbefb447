"""Alerts of Prometheus' Alertmanager become incidents.

Format: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config (version "4"): ``{"version", "groupKey", "status",
"alerts": [{"status", "labels", "annotations", "startsAt", "fingerprint", …}], …}``. One incident for each group (``groupKey``), however
often it is sent.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from holdfast.incidents.errors import AlertNotUnderstood
from holdfast.incidents.policy import LEVELS
from holdfast.incidents.record.state import Incident
from holdfast.incidents.room import Declaration, Room
from holdfast.runbooks.engine.people import Person

LARGEST = 4 << 20
_WORDS = {"critical": "P1", "page": "P1", "error": "P2", "high": "P2", "warning": "P3", "medium": "P3", "info": "P4", "low": "P4"}


def take(text: str, room: Room, by: Person) -> list[tuple[Incident, bool]]:
    """Declare what fires; (incident, whether it is new). Alerts that are resolved become a note: a person says that it is over.

    Raises AlertNotUnderstood.
    """
    payload = _parsed(text)
    alerts = [_alert(one) for one in payload["alerts"]]
    firing = [one for one in alerts if one["status"] == "firing"]
    group = str(payload.get("groupKey") or json.dumps(payload.get("groupLabels", {}), sort_keys=True))
    key = f"alert/{hashlib.sha256(group.encode()).hexdigest()[:24]}"
    if not firing:
        return _calm(alerts, key, room, by)
    labels = [one["labels"] for one in firing]
    systems = [name for name in room.policy.promises if any(name in (each.get("system"), each.get("holdfast_system")) for each in labels)]
    said = sorted(f"{one['fingerprint']} {one['startsAt']}" for one in firing)
    what = Declaration(
        _title(payload, firing),
        systems,
        _severity(labels),
        "\n".join(dict.fromkeys(_text(one) for one in firing)),
        source={"kind": "alert", "group": group, "alerts": firing[:50], "fingerprint": _digest(said)},
        key=key,
        detected=min((moment for one in firing if (moment := _moment(one["startsAt"])) is not None), default=None),
        since=max((moment for one in firing if (moment := _moment(one["startsAt"])) is not None), default=None),
        references={"alertmanager": str(payload["externalURL"])} if payload.get("externalURL") else {},
    )
    return [room.declare(what, by)]


def _calm(alerts: list[dict[str, Any]], key: str, room: Room, by: Person) -> list[tuple[Incident, bool]]:
    found = next((one for one in room.log.all() if one.key == key and one.open), None)
    if found is None:
        return []
    names = sorted({str(one["labels"].get("alertname", "an alert")) for one in alerts})
    digest = _digest(sorted(f"{one['fingerprint']} {one['startsAt']}" for one in alerts))
    text = f"Alertmanager: {', '.join(names)} no longer fires"
    return [(room.log.append(found.id, "note", by, {"text": text}, key=f"calm/{digest}")[0], False)]


def _parsed(text: str) -> dict[str, Any]:
    if len(text) > LARGEST:
        raise AlertNotUnderstood(f"The message has {len(text)} characters; Alertmanager sends at most a few thousand.")
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise AlertNotUnderstood(f"This is no JSON: {error}.", hint="Hand over what Alertmanager's webhook posts, as it is.") from error
    if not isinstance(payload, dict) or not isinstance(payload.get("alerts"), list) or not payload["alerts"]:
        raise AlertNotUnderstood("This is no message of Alertmanager's webhook: it has no alerts.", hint="Version 4 of the format is read.")
    return payload


def _alert(one: Any) -> dict[str, Any]:
    if not isinstance(one, Mapping) or one.get("status") not in ("firing", "resolved") or not isinstance(one.get("labels"), Mapping):
        raise AlertNotUnderstood("An alert of the message has no status (firing, resolved) or no labels.")
    notes = one.get("annotations")
    return {
        "status": one["status"],
        "labels": {str(name): str(value)[:500] for name, value in list(one["labels"].items())[:50]},
        "annotations": {str(name): str(value)[:2000] for name, value in list((notes if isinstance(notes, Mapping) else {}).items())[:20]},
        "startsAt": str(one.get("startsAt", ""))[:40],
        "fingerprint": str(one.get("fingerprint", ""))[:64],
    }


def _title(payload: Mapping[str, Any], firing: list[dict[str, Any]]) -> str:
    common = payload.get("commonAnnotations")
    summary = str(common.get("summary", "")) if isinstance(common, Mapping) else ""
    summary = summary or str(firing[0]["annotations"].get("summary", "")) or str(firing[0]["labels"].get("alertname", "an alert fires"))
    more = f" (and {len(firing) - 1} more)" if len(firing) > 1 else ""
    return " ".join(summary.split())[:200] + more


def _text(one: Mapping[str, Any]) -> str:
    notes = one["annotations"]
    said = notes.get("description") or notes.get("message") or notes.get("summary") or ""
    labels = ", ".join(f"{name}={value}" for name, value in sorted(one["labels"].items()))
    return f"{said} [{labels}]".strip()


def _severity(labels: list[dict[str, str]]) -> str | None:
    found = []
    for each in labels:
        said = str(each.get("severity", "")).strip()
        level = "P" + said.upper().removeprefix("SEV").removeprefix("P")
        if level in LEVELS:
            found.append(level)
        elif said.lower() in _WORDS:
            found.append(_WORDS[said.lower()])
    return min(found, default=None)


def _moment(text: str) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _digest(texts: list[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:24]
