"""The one JSON, base64 and time notation of the vault: the same value always gives the same bytes."""

import base64
import binascii
import datetime as dt
import json
from typing import Any

_ENCODE = json.JSONEncoder(ensure_ascii=True, sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def to_json(value: Any) -> bytes:
    """UTF-8, ``ensure_ascii``, keys sorted, no spaces (docs/vault-format.md)."""
    return _ENCODE(value).encode("ascii")


def from_json(data: bytes | bytearray | memoryview) -> Any:
    """Raises ValueError for anything that is not JSON."""
    return json.loads(bytes(data))


def to_b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def from_b64(text: str) -> bytes:
    """Raises ValueError for anything that is not strict base64."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError) as error:
        raise ValueError(str(error)) from None


def to_time(moment: dt.datetime) -> str:
    """ISO 8601, UTC, microseconds."""
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")


def from_time(text: str) -> dt.datetime:
    """Raises ValueError when the text is no time with a zone."""
    moment = dt.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time without zone: {text!r}")
    return moment.astimezone(dt.UTC)
