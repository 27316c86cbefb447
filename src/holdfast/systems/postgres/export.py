"""A recovery point in portable form: what bare PostgreSQL recovers from, without Holdfast and without the vault.

``data/`` is the directory as a base backup leaves it (with its ``backup_label``), ``wal/`` holds segments under PostgreSQL's names,
``config/`` the configuration files that lay elsewhere, ``dumps/`` the point's logical dumps. ``README`` comes last: where it is missing,
the export was cut short.
"""

import dataclasses
import os
import pwd
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from holdfast.errors import Refused
from holdfast.model import Clock, Extracted, Progress, RecoveryPoint
from holdfast.systems.contract import Exported, History, PointReader, StoredEntry
from holdfast.systems.postgres import lsn as positions
from holdfast.systems.postgres.capture import config as outside
from holdfast.systems.postgres.capture import logical
from holdfast.systems.postgres.restore.files import sync_filesystems, write_file
from holdfast.systems.postgres.restore.planning.history import Holdings
from holdfast.systems.postgres.restore.planning.reach import choose
from holdfast.systems.postgres.restore.planning.target import Target
from holdfast.systems.postgres.restore.wal import place, place_histories
from holdfast.systems.postgres.running.binaries import Account, NoServerAccount

# PostgreSQL expects these folders, also where a backup holds nothing in them.
_FOLDERS = ("pg_wal/archive_status", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_stat", "pg_stat_tmp")
_MORE = ("pg_subtrans", "pg_tblspc", "pg_twophase", "pg_commit_ts", "pg_logical/snapshots", "pg_logical/mappings")

Write = Callable[[PointReader, Sequence[StoredEntry], str, Path, Progress], Extracted]
"""Writes entries below a root as plain files; see ``recovery.files.write_out``."""

README = """\
Recovery point {point} of {system} (PostgreSQL {version}), exported by Holdfast.

To recover it with PostgreSQL {major} alone, as the account that is to run it:

  cp -a {quoted}/data /new/data && chmod -R go-rwx /new/data
  cat >> /new/data/postgresql.auto.conf <<'END'
  restore_command = '{command}'
  END
  touch /new/data/recovery.signal
  pg_ctl -D /new/data start

{whose}
WAL is here from {start} to {end}: recovery ends there, or earlier where you set recovery_target_time (not before {consistent}).
Before you start it, look at data/postgresql.conf (or config/, where it lay outside the data directory): it is the source's own, and
archives, listens and replicates as the source did. Tablespaces lie as folders in data/pg_tblspc.
{dumps}"""


class ExportTargetExists(Refused):
    """Something stands where the export is to be written."""

    code = "export-target-exists"


def export(
    point: RecoveryPoint,
    history: History,
    found: Holdings,
    folder: Path,
    *,
    all_wal: bool,
    write: Write,
    clock: Clock,
    progress: Progress,
    owner: str | None = None,
) -> Exported:
    """Write ``point`` into the new ``folder``. ``all_wal``: also the WAL behind the point, as far as the vault has it without a gap.
    ``owner``: the account that it is to belong to when we are root, ``postgres`` by default; nobody else can read it.

    Raises ExportTargetExists, NoServerAccount, and what planning a restore of the point raises when its WAL is not whole.
    """
    if os.path.lexists(folder):
        raise ExportTargetExists(f"{folder} exists.", hint="Name a new one with --to, or move it away first.")
    who = _whose(owner)
    physical = point.method != "logical"
    reach = choose(found, Target("point", point=point.id), clock.now()) if physical else None
    reader = history.open(point.id)
    entries = list(reader.entries())
    folder.mkdir(parents=True, mode=0o700)
    parts = {"data": [one for one in entries if _plain(one)]} if physical else {}
    dumps = [one for one in entries if one.entry.path.startswith(f"{logical.FOLDER}/") and one.entry.kind == "file"]
    parts |= {"config": [one for one in entries if one.entry.path.startswith(f"{outside.FOLDER}/")], "dumps": dumps}
    files = size = 0
    for name, chosen in parts.items():
        if chosen:
            root = {"config": outside.FOLDER, "dumps": logical.FOLDER}.get(name, "")
            done = write(reader, chosen, root, folder / name, progress)
            files, size = files + done.files, size + done.written
    wal = None
    me = _me()
    if reach is not None:
        for one in (*_FOLDERS, *_MORE):
            (folder / "data" / one).mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "data").chmod(0o700)
        reach = dataclasses.replace(reach, end=max(reach.end, reach.limit) if all_wal else reach.end)
        segment = int(point.facts.get("segment_size") or positions.SEGMENT)
        (folder / "wal").mkdir(mode=0o700)
        progress.phase("WAL", reach.end - reach.base.start)
        place(reach, history.logs(), folder / "wal", segment, me, progress)
        place_histories(reach, found, folder / "wal", me)
        wal = (positions.show(reach.base.start), positions.show(reach.end))
    named = tuple(one.entry.path.removeprefix(f"{logical.FOLDER}/") for one in dumps)
    notes = _notes(folder, who)
    _give(folder, who)
    sync_filesystems([folder])
    whose = " ".join((f"It belongs to the account {who.name}, and nobody else may read it.", *notes))
    write_file(folder / "README", _readme(point, folder, wal, named, whose), who)
    # The folder itself last: until then nobody else comes in, and nothing in it can be swapped for a link.
    who.own(folder)
    return Exported(point.id, folder, files, size, wal, named, who.name, notes)


def _me() -> Account:
    uid = os.geteuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return Account(name, uid, os.getegid(), switch=False)


def _whose(wanted: str | None) -> Account:
    """Ourselves; for root the account ``wanted``, else ``postgres`` where there is one, since no server runs as root."""
    if os.geteuid() != 0:
        if wanted and wanted != _me().name:
            raise NoServerAccount(
                f"Only root can give an export to {wanted}.", hint=f"Run it as root, or as {wanted}: then it belongs to that account."
            )
        return _me()
    try:
        found = pwd.getpwnam(wanted or "postgres")
    except KeyError:
        if wanted:
            raise NoServerAccount(
                f"There is no account {wanted!r} here.", hint="Name one that exists, or leave --owner away and chown it later."
            ) from None
        return _me()
    return Account(found.pw_name, found.pw_uid, found.pw_gid, switch=found.pw_uid != 0)


def _notes(folder: Path, who: Account) -> tuple[str, ...]:
    if who.uid == 0:
        return (f"PostgreSQL does not run as root: before anything else, chown -R ACCOUNT {shlex.quote(str(folder))}.",)
    groups = set(os.getgrouplist(who.name, who.gid)) if who.switch else {who.gid, *os.getgroups()}
    for parent in folder.parents:
        status = parent.stat()
        bit = 0o100 if status.st_uid == who.uid else 0o010 if status.st_gid in groups else 0o001
        if who.switch and not status.st_mode & bit:
            return (f"The account {who.name} may not pass through {parent}: move the export to where it may.",)
    return ()


def _give(folder: Path, who: Account) -> None:
    """Everything below ``folder`` to the account; not the folder itself, which keeps others out meanwhile."""
    if who.switch:
        for inner, folders, files in os.walk(folder):
            for name in (*folders, *files):
                os.chown(Path(inner, name), who.uid, who.gid, follow_symlinks=False)


def _plain(stored: StoredEntry) -> bool:
    """Whether it belongs into ``data/``. Links and the map of tablespaces would lead PostgreSQL to the source's own folders."""
    path = stored.entry.path
    return not path.startswith("holdfast/") and stored.entry.kind != "symlink" and path != "tablespace_map"


def _readme(point: RecoveryPoint, folder: Path, wal: tuple[str, str] | None, dumps: Sequence[str], whose: str) -> str:
    version = int(point.facts.get("version_num") or 0)
    text = "dumps/ holds " + ", ".join(dumps) + ": pg_restore reads them.\n" if dumps else ""
    if wal is None:
        return f"Recovery point {point.id} of {point.system}, exported by Holdfast.\n{text}\n{whose}\n"
    quoted = shlex.quote(str(folder))
    # Doubled once for what PostgreSQL replaces, once for the quotes of its configuration.
    command = f"cp {quoted.replace('%', '%%')}/wal/%f %p".replace("'", "''")
    shown = f"{version // 10000}.{version % 10000}"
    return README.format(
        point=point.id,
        system=point.system,
        version=shown,
        major=version // 10000,
        quoted=quoted,
        command=command,
        whose=whose,
        start=wal[0],
        end=wal[1],
        consistent=point.stop.get("time") or point.committed_at.isoformat(),
        dumps=text,
    )
