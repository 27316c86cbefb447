"""Configuration of a restored cluster: harmless first, the source's own settings kept beside for the handover.

The source's files are not obeyed on the restored copy: they may archive into the source's archive, stream from its primary, listen on its
address, log into its folders. What they hold that changes how data reads is taken over by name; the rest waits in ``holdfast.handover/``.
"""

import datetime as dt
import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.systems.postgres import lsn as positions
from holdfast.systems.postgres.controlfile import ControlFile
from holdfast.systems.postgres.restore.planning.reach import Reach
from holdfast.systems.postgres.restore.planning.target import Target

HANDOVER = "holdfast.handover"
"""Folder in the restored directory that keeps the source's configuration files and what was changed."""

FILES = ("postgresql.conf", "postgresql.auto.conf", "pg_hba.conf", "pg_ident.conf")

SAFE: Mapping[str, str] = {
    "archive_mode": "off",
    "archive_command": "",
    "archive_cleanup_command": "",
    "recovery_end_command": "",
    "primary_conninfo": "",
    "primary_slot_name": "",
    "synchronous_standby_names": "",
    "max_logical_replication_workers": "0",
    "listen_addresses": "127.0.0.1",
    "ssl": "off",
    "cluster_name": "restored by holdfast",
    "logging_collector": "off",
    "log_destination": "stderr",
    "external_pid_file": "",
    "hot_standby": "on",
}
"""What keeps a restored instance away from production, whatever its source had."""

MEANING = (
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "timezone_abbreviations",
    "bytea_output",
    "extra_float_digits",
    "lc_messages",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "default_text_search_config",
    "search_path",
    "default_transaction_isolation",
    "standard_conforming_strings",
    "backslash_quote",
    "escape_string_warning",
    "array_nulls",
    "transform_null_equals",
    "xmlbinary",
    "xmloption",
    "row_security",
    "default_toast_compression",
    "icu_validation_level",
    "max_stack_depth",
    "wal_level",
    "track_commit_timestamp",
    "max_pred_locks_per_transaction",
    "wal_log_hints",
)
"""Settings taken over from the source: they change how data reads or whether statements run, and reach nothing outside."""

_NEEDED_LIBRARIES = frozenset({"timescaledb", "citus", "pg_tde", "orioledb"})
"""Libraries without which recovery or reading fails: custom WAL, storage or hooks that the data depends on."""

_LINE = re.compile(r"^\s*([A-Za-z_][A-Za-z0-9_.]*)\s*(?:=\s*|\s+)('(?:[^'\\]|''|\\.)*'|[^\s#]+)")


def parse(text: str) -> dict[str, str]:
    """Names and values in a ``postgresql.conf``; the last one wins. Includes are not followed."""
    found = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match and not match[1].lower().startswith("include"):
            value = match[2]
            if value.startswith("'"):
                value = value[1:-1].replace("''", "'").replace("\\'", "'")
            found[match[1].lower()] = value
    return found


@functools.lru_cache(maxsize=8)
def _parsed(text: str) -> Mapping[str, str]:
    """One file is asked for dozens of settings."""
    return parse(text)


def quote(value: str) -> str:
    """A value for a configuration file."""
    return "'" + value.replace("\\", "\\\\").replace("'", "''").replace("\n", " ") + "'"


@dataclass(frozen=True, slots=True)
class Role:
    """What the restored cluster is to be. ``standby``: it stays in recovery and follows on by ``restore_command`` and, where given,
    ``primary_conninfo``. ``action`` at the target: promote or pause (read-only, still in recovery).
    """

    standby: bool = False
    action: str = "promote"
    restore_command: str = ""
    primary_conninfo: str = ""


def recovery(reach: Reach, target: Target, role: Role, *, to_end_of_log: bool = False) -> dict[str, str]:
    """Recovery settings that lead a server to the target.

    The end of the log is no target to PostgreSQL: it is what happens when none is set. A command that always fails makes it read what
    lies in ``pg_wal``.
    """
    found = {"restore_command": role.restore_command or "false", "recovery_target_timeline": str(reach.path.timeline)}
    stop = "end-of-log" if to_end_of_log else reach.stop
    # Only the one that is set may be named: PostgreSQL counts even an empty second one as a conflict.
    names: dict[str, str] = {}
    match stop:
        case "immediate" if role.action == "promote":
            # The WAL put in place ends where the data is consistent: the end of the log is the target.
            pass
        case "immediate":
            names["recovery_target"] = "immediate"
        case "time":
            assert target.time is not None
            names["recovery_target_time"] = target.time.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00")
        case "lsn":
            assert target.lsn is not None
            names["recovery_target_lsn"] = positions.show(target.lsn)
        case "xid":
            names["recovery_target_xid"] = str(target.xid)
        case "name":
            names["recovery_target_name"] = target.name or ""
        case _:
            pass
    found |= names
    found["recovery_target_inclusive"] = "on" if target.inclusive else "off"
    found["recovery_target_action"] = role.action
    if role.standby and stop == "end-of-log":
        found["recovery_target_timeline"] = "latest"
        found["primary_conninfo"] = role.primary_conninfo
    return found


def libraries(wanted: Sequence[str]) -> str:
    """Of the source's preload libraries those that its data needs."""
    return ",".join(name for name in wanted if name.strip() in _NEEDED_LIBRARIES)


@dataclass(frozen=True, slots=True)
class Sources:
    """The source's configuration: texts by file name, wherever the files lay there; ``settings`` as the server told them."""

    files: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    preload: Sequence[str] = ()

    def value(self, name: str) -> str | None:
        """A setting of the source, server's word first."""
        lower = {key.lower(): str(value) for key, value in self.settings.items()}
        for values in (lower, *(_parsed(self.files.get(name, "")) for name in ("postgresql.auto.conf", "postgresql.conf"))):
            if name.lower() in values:
                return values[name.lower()]
        return None


def settings(control: ControlFile, source: Sources, *, port: int, shared_buffers: int, overrides: Mapping[str, str]) -> dict[str, str]:
    """Every setting of the restored cluster. The five limits come from the control file: with smaller ones recovery would stop."""
    found: dict[str, str] = {}
    for name in MEANING:
        value = source.value(name)
        if value is not None:
            found[name] = value
    found |= {
        "max_connections": str(max(control.max_connections, 20)),
        "max_worker_processes": str(control.max_worker_processes),
        "max_wal_senders": str(control.max_wal_senders),
        "max_prepared_transactions": str(control.max_prepared_transactions),
        "max_locks_per_transaction": str(control.max_locks_per_transaction),
        "shared_preload_libraries": libraries(source.preload),
        "shared_buffers": f"{shared_buffers >> 20}MB",
        "port": str(port),
        "log_min_messages": "warning",
        "huge_pages": "off",
        **SAFE,
    }
    return found | dict(overrides)


HEADER = (
    "# Written by Holdfast for a restored cluster. It keeps away from production;\n# the source's own files wait in holdfast.handover/.\n"
)

HBA = """# Written by Holdfast for a restored cluster: only this machine, until it is handed over.
local all         all              {local}
local replication all              {local}
host  all         all 127.0.0.1/32 scram-sha-256
host  all         all ::1/128      scram-sha-256
"""


def render(values: Mapping[str, str]) -> str:
    """The text of a ``postgresql.conf``."""
    return HEADER + "".join(f"{name} = {quote(value)}\n" for name, value in values.items())


def record(values: Mapping[str, str], source: Sources, plan: Mapping[str, Any]) -> str:
    """What was changed, as JSON: for people and for the handover."""
    changed = {name: {"source": source.value(name), "here": value} for name, value in values.items() if source.value(name) != value}
    return json.dumps({"plan": plan, "changed": changed, "files": sorted(source.files)}, indent=1, sort_keys=True)
