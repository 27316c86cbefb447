"""Times as text that sorts: ISO 8601, UTC, microseconds."""

import datetime as dt


def to_text(moment: dt.datetime) -> str:
    """Raises ValueError for a moment without a zone."""
    if moment.tzinfo is None:
        raise ValueError("a moment needs a zone")
    return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")


def from_text(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def maybe(text: str | None) -> dt.datetime | None:
    return None if text is None else from_text(text)
