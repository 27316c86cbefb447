"""The end of every capture: label and map, the control file last, findings named, then the commit."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from holdfast.model import Entry, Finding, RecoveryPoint
from holdfast.systems.contract import CaptureWriter
from holdfast.systems.postgres import controlfile
from holdfast.systems.postgres.capture.facts import relation_name
from holdfast.systems.postgres.pages.check import Wrong, finding

if TYPE_CHECKING:
    from holdfast.systems.postgres.link.connection import Connection

MOST_FINDINGS = 1000
"""Bad pages named one by one; the rest is counted in a last finding."""


def close_point(
    writer: CaptureWriter,
    *,
    label_bytes: bytes,
    map_bytes: bytes,
    control_bytes: bytes,
    start: Mapping[str, Any],
    stop: Mapping[str, Any],
    branch: str,
    facts: Mapping[str, Any],
    bad: Sequence[Wrong],
    torn: int,
    server: "Connection",
    dsn: str,
) -> RecoveryPoint:
    """Everything else was added. The control file comes last, so that a reader who restores in order restores it last."""
    writer.add(Entry("backup_label", "file", len(label_bytes)), label_bytes)
    if map_bytes:
        writer.add(Entry("tablespace_map", "file", len(map_bytes)), map_bytes)
    writer.add(Entry(controlfile.PATH, "file", len(control_bytes)), control_bytes)
    method: Literal["full", "incremental"] = "full" if writer.base is None else "incremental"
    told = {**facts, "torn_pages_read_again": torn, "bad_pages": len(bad)}
    return writer.commit(kind="postgres", start=start, stop=stop, logs=branch, facts=told, findings=_named(bad, server, dsn), method=method)


def _named(bad: Sequence[Wrong], server: "Connection", dsn: str) -> list[Finding]:
    names: dict[tuple[int, int, int], str | None] = {}
    found = []
    for one in bad[:MOST_FINDINGS]:
        key = (one.relation.database, one.relation.tablespace, one.relation.node)
        if key not in names:
            names[key] = relation_name(server, dsn, *key)
        found.append(finding(one, names[key]))
    if len(bad) > MOST_FINDINGS:
        rest = len(bad) - MOST_FINDINGS
        found.append(Finding(code="pg-bad-pages", message=f"{rest} more pages have a wrong checksum.", where={"count": rest}))
    return found
