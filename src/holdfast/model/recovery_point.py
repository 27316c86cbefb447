"""The record of one restorable state."""

import datetime as dt
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Finding(BaseModel):
    """Something wrong that was seen while capturing and did not stop it: a page with a bad checksum, say."""

    model_config = ConfigDict(frozen=True, defer_build=True)

    code: str
    message: str
    where: dict[str, Any] = Field(default_factory=dict)


class Totals(BaseModel):
    """Counts of one capture. ``bytes`` is the size of what is protected; ``read``, ``new`` and ``stored`` are bytes read, new after
    deduplication, written. ``avoided``: packs that held some of it and were not reused, since a check found them damaged everywhere.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    files: int = 0
    bytes: int = 0
    read: int = 0
    new: int = 0
    stored: int = 0
    chunks: int = 0
    new_chunks: int = 0
    avoided: int = 0


class RecoveryPoint(BaseModel):
    """A restorable state of one system, as committed. ``id`` is the session's id (32 hex digits) and names the object in the vault.

    ``start`` and ``stop`` are the system's coordinates (PostgreSQL: ``{"timeline": 1, "lsn": "0/3000028", "time": …}``): the data is
    consistent from ``stop`` on.
    ``logs`` names the log branch that continues it, or None. ``facts`` belong to the system (manifest of tablespaces, versions, …).
    ``committed_at`` is the signed commit time; retention counts by it.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)

    id: str
    system: str
    kind: str
    method: Literal["full", "incremental", "logical"]
    base: str | None = None
    label: str | None = None
    note: str | None = None
    keep_until: dt.datetime | None = None
    started_at: dt.datetime
    committed_at: dt.datetime
    start: dict[str, Any] = Field(default_factory=dict)
    stop: dict[str, Any] = Field(default_factory=dict)
    logs: str | None = None
    facts: dict[str, Any] = Field(default_factory=dict)
    expected: dict[str, Any] = Field(default_factory=dict)
    findings: list[Finding] = Field(default_factory=list)
    totals: Totals = Field(default_factory=Totals)
    version: str = ""
    host: str = ""
    writer: str = ""
    packs: int = 0
