"""Options of a restore, as a person gave them, checked once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.errors import Usage
from holdfast.systems.postgres.restore.config import Role
from holdfast.systems.postgres.restore.errors import BadMapping


class BadOption(Usage):
    """Options that do not exist, or that exclude each other."""

    code = "restore-option-wrong"


_KNOWN = frozenset(
    [
        "timeline",
        "delta",
        "in_place",
        "as",
        "target_action",
        "tablespace_map",
        "start",
        "database",
        "table",
        "target_dsn",
        "owner",
        "port",
        "shared_buffers",
        "durable",
        "settings",
        "bin",
        "superuser",
        "restore_command",
        "primary_conninfo",
        "fetch_wal_above",
    ]
)


@dataclass(frozen=True, slots=True)
class Options:
    """``durable`` False: a throw-away copy, nothing is synced. ``port`` None: one that is free; 0: no network address at all.

    ``fetch_wal_above``: bytes of WAL from which on it is fetched while the server recovers, not laid into the directory.
    ``settings`` override what the restored cluster is configured with; ``bin`` is where to look for server programs first.
    """

    timeline: str | None = None
    delta: bool = False
    in_place: bool = False
    role: Role = field(default_factory=Role)
    tablespace_map: Mapping[str, str] = field(default_factory=dict)
    start: bool = False
    database: str | None = None
    table: str | None = None
    target_dsn: str | None = None
    owner: str | None = None
    port: int | None = None
    shared_buffers: int | None = None
    durable: bool = True
    settings: Mapping[str, str] = field(default_factory=dict)
    bin: str | None = None
    superuser: str | None = None
    fetch_wal_above: int | None = None


def read(given: Mapping[str, Any]) -> Options:
    """From ``RestoreRequest.options``. Raises BadOption, BadMapping."""
    unknown = sorted(set(given) - _KNOWN)
    if unknown:
        raise BadOption(f"PostgreSQL restores have no option {', '.join(unknown)}.", hint=f"There are: {', '.join(sorted(_KNOWN))}.")
    if given.get("delta") and given.get("in_place"):
        raise BadOption(
            "--delta and --in-place exclude each other.", hint="--delta repairs the directory, --in-place moves it aside and restores anew."
        )
    action = given.get("target_action") or "promote"
    if action not in ("promote", "pause"):
        raise BadOption(f"{action!r} is no action at the target.", hint="promote or pause")
    wanted = given.get("as") or "primary"
    if wanted not in ("primary", "standby"):
        raise BadOption(f"A cluster cannot be restored as {wanted!r}.", hint="standby or primary")
    timeline = given.get("timeline")
    return Options(
        timeline=str(timeline) if timeline is not None else None,
        delta=bool(given.get("delta")),
        in_place=bool(given.get("in_place")),
        role=Role(wanted == "standby", action, given.get("restore_command") or "", given.get("primary_conninfo") or ""),
        tablespace_map=mapping(given.get("tablespace_map") or {}),
        start=bool(given.get("start")),
        database=given.get("database"),
        table=given.get("table"),
        target_dsn=given.get("target_dsn"),
        owner=given.get("owner"),
        port=given.get("port"),
        shared_buffers=given.get("shared_buffers"),
        durable=given.get("durable", True),
        settings=given.get("settings") or {},
        bin=given.get("bin"),
        superuser=given.get("superuser"),
        fetch_wal_above=given.get("fetch_wal_above"),
    )


def mapping(given: Mapping[str, str] | list[str]) -> dict[str, str]:
    """OLD=NEW texts, or a mapping already, checked: NEW is an absolute path; OLD a path, name or oid. '*' maps all the rest beneath NEW."""
    pairs = given if isinstance(given, Mapping) else dict(_pair(text) for text in given)
    for old, new in pairs.items():
        if not Path(new).is_absolute():
            raise BadMapping(
                f"The tablespace mapping {old}={new} does not lead to an absolute path.", hint="--tablespace-map OLD=/new/folder"
            )
    return dict(pairs)


def _pair(text: str) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    if not (old and equals and new):
        raise BadMapping(
            f"{text!r} is not a tablespace mapping.",
            hint="--tablespace-map OLD=NEW: OLD is a path, a name or an oid; NEW an absolute path.",
        )
    return old, new
