"""Carries out a planned restore: files, WAL, configuration, control file last, everything synced; then, where asked, recovery."""

import contextlib
import dataclasses
import fcntl
import functools
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from holdfast import errors as families
from holdfast.connect.durable import sync_folder
from holdfast.errors import HoldfastError
from holdfast.model import Clock, Entry, Extracted, Progress
from holdfast.systems.contract import History, PointReader, Restored, RestorePlan, StoredEntry
from holdfast.systems.contract import Target as FileSink
from holdfast.systems.postgres import controlfile
from holdfast.systems.postgres.controlfile import ControlFile
from holdfast.systems.postgres.faults import ControlFileBad
from holdfast.systems.postgres.restore import config, errors
from holdfast.systems.postgres.restore.behind import record_begins
from holdfast.systems.postgres.restore.fetch import SOCKET, THRESHOLD, Fetch, Recipe, command, problem, put, served, unneeded
from holdfast.systems.postgres.restore.files import (
    MARKER,
    FileTarget,
    clear,
    make_folder,
    remove_file,
    sync_filesystems,
    write_file,
)
from holdfast.systems.postgres.restore.planning import ground
from holdfast.systems.postgres.restore.planning.plan import Detail
from holdfast.systems.postgres.restore.recover import Recovery, recover
from holdfast.systems.postgres.restore.settings import choose_port, choose_shared_buffers, socket_rule
from holdfast.systems.postgres.restore.wal import place, place_histories, spans
from holdfast.systems.postgres.running.binaries import Account, Binaries

CONTROL = controlfile.PATH
OUTSIDE = "holdfast/config/"
_OWN = frozenset(
    {"backup_label", "tablespace_map", "recovery.signal", "standby.signal", "postmaster.pid", "postmaster.opts", *config.FILES}
)
_FRESH = ("pg_wal", "pg_replslot", "pg_dynshmem", "pg_notify", "pg_serial", "pg_snapshots", "pg_stat_tmp", "pg_subtrans")
_FOLDERS = (*_FRESH, "pg_wal/archive_status", "pg_tblspc", "pg_commit_ts", "pg_twophase", "pg_stat", "pg_logical", "base", "global")


@dataclass
class Work:
    """One restore under way."""

    plan: RestorePlan
    detail: Detail
    reader: PointReader
    history: History
    who: Account
    clock: Clock
    progress: Progress
    notes: list[str] = field(default_factory=list)
    prepared: float = 0.0
    recipe: Recipe | None = None
    fetch: Fetch | None = None

    @property
    def restore_command(self) -> str:
        if self.recipe is not None and self.fetch is not None:
            return command(self.data, self.fetch.python)
        return self.detail.options.role.restore_command

    @property
    def data(self) -> Path:
        return self.plan.into


def restore(
    plan: RestorePlan,
    history: History,
    progress: Progress,
    *,
    clock: Clock,
    who: Account,
    binaries: Callable[[int], Binaries],
    fetch: Fetch | None = None,
) -> Restored:
    """Do what ``plan`` says. Raises its first obstacle. ``fetch``: how a server that recovers gets long WAL by itself, if it can.

    A killed or failed restore leaves a directory that does not start, and that --delta completes.
    """
    detail: Detail = plan.detail
    # Found before anything is written: a restore that could not be started afterwards is better refused now.
    programs = binaries(detail.major) if detail.options.start else None
    began = clock.monotonic()
    work, extracted, log_bytes = write(plan, history, progress, clock=clock, who=who, fetch=fetch)
    clocks = {"prepare": work.prepared, "restore": clock.monotonic() - began - work.prepared}
    reached: Mapping[str, object] = plan.place
    connection = None
    if programs is not None:
        began = clock.monotonic()
        with served(work.data, work.recipe, history.logs(), who, clock) if work.recipe else contextlib.nullcontext():
            outcome = recover(
                Recovery(work.data, programs, who, detail.reach, detail.target, detail.options, clock, progress, work.restore_command)
            )
        if work.recipe and not outcome.reached["recovering"]:
            unneeded(work.data)
        clocks["replay"] = clock.monotonic() - began
        reached, connection = outcome.reached, outcome.instance.dsn()
        outcome.instance.leave()
        work.notes += outcome.notes
    return Restored(plan.into, reached, clocks, extracted, log_bytes, connection, tuple(work.notes))


def write(
    plan: RestorePlan, history: History, progress: Progress, *, clock: Clock, who: Account, fetch: Fetch | None = None
) -> tuple[Work, Extracted, int]:
    """The directory, complete and durable, not started: (the work, what was extracted, bytes of WAL put in place)."""
    detail: Detail = plan.detail
    began = clock.monotonic()
    _refuse(plan, who)
    progress.phase("prepare")
    work = Work(plan, detail, history.open(plan.point.id), history, who, clock, progress)
    if detail.aside is not None:
        plan.into.rename(detail.aside)
        sync_folder(plan.into.parent)
        progress.note(f"moved {plan.into} aside to {detail.aside}")
        work.notes.append(f"The damaged cluster lies in {detail.aside}.")
    with _claimed(work):
        work.prepared = clock.monotonic() - began
        extracted = _files(work)
        progress.phase("WAL", plan.log_bytes)
        histories = place_histories(detail.reach, detail.holdings, plan.into / "pg_wal", who)
        if fetch is not None:
            _fetch(work, fetch, histories)
        log_bytes = 0
        if work.recipe is None:
            log_bytes = place(detail.reach, history.logs(), plan.into / "pg_wal", detail.segment_size, who, progress)
        _finish(work)
    return work, extracted, log_bytes


def _fetch(work: Work, fetch: Fetch, histories: Sequence[str]) -> None:
    """Leave long WAL in the vault, where the server can get it by itself for as long as it needs it."""
    detail, options = work.detail, work.detail.options
    most = THRESHOLD if options.fetch_wal_above is None else options.fetch_wal_above
    if work.plan.log_bytes <= most or options.role.restore_command:
        return
    known = {int(name.split(".")[0], 16): (work.data / "pg_wal" / name).read_bytes() for name in histories}
    needed = tuple(spans(detail.reach, detail.segment_size))
    recipe = Recipe(str(fetch.plan), fetch.system, str(work.data / SOCKET), detail.segment_size, needed, known, options.role.standby)
    put(work.data, recipe, work.who)
    alone = not options.start or options.role.standby or options.role.action == "pause"
    if why := problem(work.data, work.who, fetch.python, alone=alone):
        work.notes.append(f"All WAL was laid into the directory: {work.who.name or 'this account'} could not fetch it: {why}")
        unneeded(work.data)
        return
    work.recipe, work.fetch = recipe, fetch
    work.progress.note(f"{work.plan.log_bytes >> 20} MiB of WAL are fetched from the vault while the server recovers")
    if alone:
        work.notes.append(
            f"The server fetches {work.plan.log_bytes >> 20} MiB of WAL from the vault while it recovers, by the plan {fetch.plan}:"
            " plan and key must stay readable for the account that runs it."
        )


def _nothing_behind(work: Work) -> bool:
    """Whether the target is a position behind which no record begins: the end of the log, which is no target to PostgreSQL."""
    detail, folder = work.detail, work.data / "pg_wal"
    reach, size, position = detail.reach, detail.segment_size, detail.target.lsn
    if reach.stop != "lsn" or position is None:
        return False
    if work.recipe is None:
        return not record_begins(folder, reach, position, size)
    # Of WAL that is not laid into the directory the segments behind the target are: mostly the first tells.
    laid = end = position - position % size
    while end < reach.end:
        end = min(end + 2 * size, reach.end)
        part = dataclasses.replace(reach, end=end)
        place(part, work.history.logs(), folder, size, work.who, work.progress, laid)
        if record_begins(folder, part, position, size):
            return False
        laid = end - end % size
    return True


def _refuse(plan: RestorePlan, who: Account) -> None:
    """The plan's obstacles, and those that came up since it was made."""
    detail: Detail = plan.detail
    now = ground.look(plan.into, detail.reach.base.system_identifier, detail.options, who)
    for one in (*plan.obstacles, *now):
        raise _error(one.code)(one.message, hint=one.hint, directory=str(plan.into))


def _error(code: str) -> type[HoldfastError]:
    kinds = (value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, HoldfastError))
    return next((kind for kind in kinds if kind.code == code), families.Refused)


@contextlib.contextmanager
def _claimed(work: Work) -> Iterator[None]:
    """The marker file, locked: the directory is no cluster until the marker is gone, and two restores never write one directory."""
    make_folder(work.data, work.who)
    path = work.data / MARKER
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise errors.DirectoryRunning(
                f"Another restore is writing {work.data}.", hint="Wait for it, or choose another directory."
            ) from error
        about = {"point": work.plan.point.id, "until": work.plan.until, "system_identifier": work.detail.reach.base.system_identifier}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(about).encode(), 0)
        os.fsync(descriptor)
        sync_folder(work.data)
        remove_file(work.data / CONTROL)
        yield
        remove_file(path)
    except OSError as error:
        if error.errno in (28, 122):
            raise errors.NoRoom(
                f"No room left while writing {work.data}: {error.strerror}.",
                hint=f"Make room and go on with --delta, or remove {work.data}.",
            ) from error
        raise errors.RestoreDenied(
            f"{error.strerror}: {error.filename or work.data}", hint="Nothing there can be started yet; --delta goes on."
        ) from error
    finally:
        os.close(descriptor)


def _place_of(work: Work, path: str) -> Path:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise errors.NotRestorable(f"The point holds the path {path!r}, which leads out of the directory.")
    if parts[0] == "pg_tblspc" and len(parts) > 1:
        for one in work.detail.tablespaces:
            if parts[1] == str(one.oid):
                return one.into.joinpath(*parts[2:])
        raise errors.NotRestorable(f"The point holds files of tablespace {parts[1]}, which it does not name.")
    return work.data.joinpath(*parts)


def _files(work: Work) -> Extracted:
    delta = work.plan.mode == "delta"
    _folders(work, delta=delta)
    known: set[Path] = set()
    made: set[Path] = set()

    targets: set[FileTarget] = set()
    lock = threading.Lock()

    def opened(place: Path, entry: Entry) -> FileTarget:
        target = FileTarget(place, entry, work.who, delta=delta)
        # Strong references: one that is forgotten could no longer be closed. Those that are done weigh nothing.
        with lock:
            if len(targets) > 4096:
                targets.difference_update([one for one in targets if one.closed])
            targets.add(target)
        return target

    def wanted() -> Iterator[tuple[StoredEntry, Callable[[], FileSink]]]:
        for stored in work.reader.entries():
            entry = stored.entry
            if entry.path in _OWN or entry.path == CONTROL or entry.path.startswith("holdfast/"):
                continue
            place = _place_of(work, entry.path)
            if entry.kind == "dir":
                if len(PurePosixPath(entry.path).parts) == 2 and entry.path.startswith("pg_tblspc/"):
                    continue
                _folder(work, place, made)
                known.add(place)
            elif entry.kind == "symlink":
                if not entry.path.startswith("pg_tblspc/"):
                    work.notes.append(f"The link {entry.path} -> {entry.target} was left out: it may lead to the source's files.")
            else:
                _folder(work, place.parent, made)
                known.add(place)
                yield stored, functools.partial(opened, place, entry)

    work.progress.phase("files", work.plan.bytes)
    try:
        extracted = work.reader.extract(wanted(), delta=delta, progress=work.progress)
    except BaseException:
        for target in targets:
            target.abandon()
        raise
    if delta:
        _remove_others(work, known)
    return extracted


def _folder(work: Work, path: Path, made: set[Path]) -> None:
    if path not in made:
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            path.unlink()
        make_folder(path, work.who)
        made.add(path)


def _folders(work: Work, *, delta: bool) -> None:
    if delta:
        for name in _OWN:
            (work.data / name).unlink(missing_ok=True)
        for name in _FRESH:
            folder = work.data / name
            if folder.is_symlink():
                folder.unlink()
            elif folder.is_dir():
                clear(folder)
    for name in _FOLDERS:
        make_folder(work.data / name, work.who)
    for one in work.detail.tablespaces:
        make_folder(one.into, work.who)
        link = work.data / "pg_tblspc" / str(one.oid)
        if link.is_symlink() or link.exists():
            if link.is_symlink() and link.readlink() == one.into:
                continue
            link.unlink()
        link.symlink_to(one.into)
        if work.who.switch:
            os.lchown(link, work.who.uid, work.who.gid)


def _remove_others(work: Work, known: set[Path]) -> None:
    """In a delta restore: what the point does not hold goes, or PostgreSQL might take it for its own."""
    spared = {work.data / name for name in (*_FOLDERS, MARKER)} | {one.into for one in work.detail.tablespaces}
    spared |= {work.data / "pg_tblspc" / str(one.oid) for one in work.detail.tablespaces}
    for top in (work.data, *(one.into for one in work.detail.tablespaces)):
        for folder, folders, files in os.walk(top, topdown=False):
            here = Path(folder)
            for name in (*files, *(name for name in folders if (here / name).is_symlink())):
                path = here / name
                if path not in known and path not in spared:
                    path.unlink()
            if here not in known and here not in spared and here != top and not any(here.iterdir()):
                here.rmdir()


def _sources(work: Work) -> config.Sources:
    files = {}
    for name in config.FILES:
        for path in (name, OUTSIDE + name):
            stored = work.reader.find(path)
            if stored is not None and stored.entry.kind == "file":
                files[name] = work.reader.read(stored).decode("utf-8", "replace")
    for stored in work.reader.entries(OUTSIDE):
        if stored.entry.kind == "file":
            files.setdefault(stored.entry.path.removeprefix(OUTSIDE).replace("/", "_"), work.reader.read(stored).decode("utf-8", "replace"))
    facts = work.plan.point.facts
    preload = facts.get("preload_libraries") or ()
    return config.Sources(files, facts.get("settings") or {}, preload.split(",") if isinstance(preload, str) else preload)


def _small(work: Work, path: str) -> bytes:
    stored = work.reader.find(path)
    if stored is None:
        raise errors.NotRestorable(
            f"Point {work.plan.point.id} holds no {path}: it is not a base backup.", hint="Choose another point: holdfast points"
        )
    return work.reader.read(stored)


def _finish(work: Work) -> None:
    """Configuration, the label that says where recovery begins, a sync of all, and at the very end the control file."""
    control_bytes = _small(work, CONTROL)
    try:
        control = controlfile.parse(control_bytes)
    except ControlFileBad as error:
        raise errors.NotRestorable(f"Point {work.plan.point.id}: {error.message}", hint="Choose another point: holdfast points") from error
    label = _small(work, "backup_label")
    work.progress.phase("sync")
    configure(work, control)
    write_file(work.data / "backup_label", label, work.who, sync=False)
    signal = "standby.signal" if work.detail.options.role.standby else "recovery.signal"
    write_file(work.data / signal, b"", work.who, sync=False)
    if work.detail.options.durable:
        sync_filesystems([work.data, *(one.into for one in work.detail.tablespaces)])
    write_file(work.data / CONTROL, control_bytes, work.who, sync=work.detail.options.durable)


def configure(work: Work, control: ControlFile) -> None:
    """Write the harmless configuration, and keep the source's beside."""
    source = _sources(work)
    options = work.detail.options
    port = choose_port(options.port, source.value("port"))
    values = config.settings(
        control,
        source,
        port=port,
        shared_buffers=options.shared_buffers or choose_shared_buffers(source.value("shared_buffers")),
        overrides=options.settings,
    )
    folder, rule = socket_rule(work.data)
    values["unix_socket_directories"] = folder
    kept = work.data / config.HANDOVER
    make_folder(kept, work.who)
    for name, text in source.files.items():
        write_file(kept / name, text, work.who, sync=False)
    about = {"point": work.plan.point.id, "until": work.plan.until, "place": dict(work.plan.place)}
    write_file(kept / "changed.json", config.record(values, source, about), work.who, sync=False)
    write_file(work.data / "postgresql.conf", config.render(values), work.who, sync=False)
    reach, target = work.detail.reach, work.detail.target
    # Whoever starts the server later.
    last = _nothing_behind(work)
    role = dataclasses.replace(options.role, restore_command=work.restore_command)
    recovery = config.recovery(reach, target, role, to_end_of_log=last)
    write_file(
        work.data / "postgresql.auto.conf", "".join(f"{name} = {config.quote(value)}\n" for name, value in recovery.items()), work.who
    )
    write_file(work.data / "pg_hba.conf", config.HBA.format(local=rule), work.who, sync=False)
    write_file(work.data / "pg_ident.conf", source.files.get("pg_ident.conf", ""), work.who, sync=False)
