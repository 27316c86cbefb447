"""``holdfast restore``.

JSON: the plan ``{"system", "kind", "point": {"id", "label", "committed_at"}, "until", "place", "into", "mode", "bytes",
"log_bytes", "logs":
[{"branch", "start", "end"}], "needed", "free", "estimate": {"seconds", "basis"}, "steps", "refuses": [{"code", "message", "hint"}],
"warnings"}``, and after a restore ``"result": {"reached", "clocks", "files", "changed", "written", "kept", "log_bytes", "connection",
"notes", "started_at", "ended_at"}`` and ``"troubles": [{"location", "what", "reads", "first", "message"}]``: locations that were found
bad while another one served in their place. Exit status 4 where the plan refuses. Into a registry: ``{"system", "point", "into",
"images", "sent", "sent_bytes", "mounted", "there", "notes"}``.
"""

import datetime as dt
from pathlib import Path
from typing import Annotated, Any, Literal

from holdfast.errors import Usage
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import DryRun, Option, System
from holdfast.interfaces.cli.terminal.times import local, understood
from holdfast.model import counted
from holdfast.plan import human_size


def fetched_above(text: str | None) -> int | None:
    """Bytes; ``0`` needs no unit. Raises BadValue."""
    from holdfast.plan import parse_size

    return None if text is None else 0 if text.strip() == "0" else parse_size(text)


class RestoreUsage(Usage):
    """Options of a restore that do not go together."""

    code = "restore-usage"


def command(
    session: Session,
    system: System,
    *,
    into: Annotated[
        str | None,
        Option(
            "a new directory; of a bucket also an address: s3://bucket/prefix; with --database or --table a server's connection string;"
            " for container images a registry's https:// address",
            metavar="TARGET",
        ),
    ] = None,
    to: Annotated[
        str | None, Option("TIME, latest, immediate, lsn:…, xid:…, name:…, version:N, a point's id or label", metavar="WHEN")
    ] = None,
    start: Annotated[bool, Option("start the server and wait until it has recovered")] = False,
    timeline: Annotated[str | None, Option("which history, where more than one reaches the target", metavar="N")] = None,
    database: Annotated[str | None, Option("this database only, by way of an isolated copy", metavar="NAME")] = None,
    table: Annotated[str | None, Option("this table only, by way of an isolated copy", metavar="NAME")] = None,
    path: Annotated[
        tuple[str, ...],
        Option(
            "of a files system: only this folder, file or glob, by its path there; of a bucket: this key, or those below it;"
            " may be repeated",
            metavar="PATH",
        ),
    ] = (),
    tablespace_map: Annotated[
        tuple[str, ...], Option("put a tablespace elsewhere: its path, name or oid = a new folder", metavar="OLD=NEW")
    ] = (),
    delta: Annotated[bool, Option("repair a stopped directory of the same system, or a bucket: only what differs is written")] = False,
    remove_extra: Annotated[bool, Option("of files and buckets, with --delta: remove what the point does not hold")] = False,
    owner_names: Annotated[bool, Option("of a files system: owners by name, not by number")] = False,
    in_place: Annotated[
        bool, Option("move what is in the directory aside first; of a bucket: what is overwritten or removed stays as a version")
    ] = False,
    rewind: Annotated[
        bool, Option("of a delta system: by a commit on the table itself, with TARGET the lake's own address; nothing is copied")
    ] = False,
    as_: Annotated[Literal["primary", "standby"] | None, Option("what the restored cluster is to be", "--as")] = None,
    primary_conninfo: Annotated[
        str | None, Option("with --as standby: whom it follows; by default the plan's server", metavar="DSN")
    ] = None,
    restore_command: Annotated[
        str | None, Option("with --as standby: where it gets WAL that the primary has no more", metavar="COMMAND")
    ] = None,
    target_action: Annotated[Literal["promote", "pause"] | None, Option("what happens at the target")] = None,
    port: Annotated[int | None, Option("the port of the restored server")] = None,
    fetch_wal_above: Annotated[
        str | None, Option("WAL longer than this (1GiB by default; 0: always) is fetched while the server recovers", metavar="SIZE")
    ] = None,
    owner: Annotated[str | None, Option("the account that owns and runs it, when run as root")] = None,
    dry_run: DryRun = False,
) -> int:
    """Restore a system into a new directory, at any moment of its history.

    Nothing is written before it is sure that the target can be reached. The restored cluster cannot touch production. Files come back
    under their own paths below TARGET; TARGET / means their own places.
    """
    [name] = _one(session, system)
    if into is None:
        raise RestoreUsage("Where to? --into DIRECTORY is missing.", hint=f"holdfast restore {name} --into /new/directory")
    session.import_ahead((name,), "restore")
    # First: while it derives the key, what else is needed is imported.
    session.platform.vault(name)
    from holdfast.assembly.trespass import trespasses
    from holdfast.protection.measured import restores
    from holdfast.protection.recorded import recorded
    from holdfast.recovery import Past, plan, run

    recovery, history = session.platform.recovery(name), session.platform.history(name)
    until = recovery.target(to, session.clock.now(), session.plan.zone)
    if to and until.get("time"):
        moment = dt.datetime.fromisoformat(until["time"])
        session.out.note(f"{to} is understood as {understood(moment, now=session.clock.now(), zone=session.plan.zone)}")
    if into.startswith(("https://", "http://")) and not (database or table):
        return _registry(session, name, into, until, path, dry_run=dry_run)
    options: dict[str, Any] = {
        "timeline": timeline,
        "delta": delta,
        "in_place": in_place,
        "rewind": rewind,
        "as": as_,
        "target_action": target_action,
        "tablespace_map": list(tablespace_map),
        "start": start,
        "port": port,
        "fetch_wal_above": fetched_above(fetch_wal_above),
        "owner": owner,
        "paths": list(path),
        "remove_extra": remove_extra,
        "address": into if "://" in into and session.plan.effective(name).kind == "bucket" else None,
        "owner_names": owner_names,
        **_standby(session, name, as_, primary_conninfo, restore_command),
    }
    # Not by equality: 0 bytes is something that was said.
    given = {key: value for key, value in options.items() if value is not None and value is not False and value != []}
    if table and session.plan.effective(name).kind == "delta":
        given["tables"] = [table]
    elif database or table:
        return _single(session, name, into, until, given, database, table, dry_run=dry_run)
    past = [Past(one.bytes, one.log_bytes, one.restore, one.replay) for one in restores(session.platform.state.runs, name)]
    made = plan(recovery, history, Path(into), until, given, past)
    trespassed = trespasses(session.plan, name, into, made.restore)
    made = made.warned(trespassed)
    if dry_run:
        session.out.result(made.to_json(), lambda: _show(session, made.to_json()))
        return 4 if made.refused else 0
    if (in_place or rewind) and not made.refused:
        what = f"commit to {name} what it was at {made.restore.until}" if rewind else f"move {into} aside and restore {name} in its place"
        if made.restore.kind == "bucket":
            what = f"overwrite and remove what differs in {into}"
        session.confirm(Path(into).name, f"{what}: {'; and '.join(trespassed)}" if trespassed else what)
    elif trespassed and not made.refused:
        session.confirm(Path(into).name, f"restore {name} where the plan protects something: {'; and '.join(trespassed)}")
    if made.restore.kind != "delta":
        session.kept = f"What was written to {into} is not whole. Go on with: holdfast restore {name} --into {into} --delta"
    with (
        session.progress() as progress,
        recorded(session.platform.state, session.platform.journal, session.clock, "restore", name, into=into) as work,
    ):
        done = run(made, recovery, history, work.watch(progress), session.clock)
        work.add(
            point=made.restore.point.id,
            bytes=made.restore.bytes,
            log_bytes=made.restore.log_bytes,
            clocks=dict(done.clocks),
            reached=dict(done.restored.reached),
            until=dict(until),
        )
    document = {**done.to_json(), "troubles": [trouble.to_json() for trouble in session.platform.troubles()]}

    def human() -> None:
        result = document["result"]
        where = result["reached"].get("lsn") or result["reached"].get("time")
        session.out.say(f"{name}: restored into {into} in {done.clocks['total']:.1f} s, to {made.restore.until} ({where})")
        if delta:
            right = f"{human_size(result['kept'])} of {counted(result['files'], 'file')} were right"
            session.out.say(f"Repaired: {counted(result['changed'], 'file')}, {human_size(result['written'])} written; {right}.")
        if result["connection"]:
            session.out.say(f'It runs: psql "{result["connection"]}"')
            session.out.say(f"It stops with: kill -INT $(head -1 {into}/postmaster.pid), or pg_ctl stop -D {into} as its owner.")
        elif made.restore.kind == "postgres":
            session.out.say("It recovers to there when it is started. It archives nowhere and listens on this machine only.")
        if as_ != "standby" and made.restore.kind == "postgres":
            session.out.say(f"When it is to take its source's place: stop it, then holdfast handover {into}")
        for note in (*made.restore.warnings, *result["notes"]):
            session.out.warn(note)

    session.out.result(document, human)
    return 0


def _registry(session: Session, name: str, url: str, until: Any, images: tuple[str, ...], *, dry_run: bool) -> int:
    """Container images go back into a registry instead of a directory."""
    from holdfast.protection.recorded import recorded

    if session.plan.effective(name).kind != "files":
        raise RestoreUsage(f"{name} holds no container images: --into is a directory.", hint="Name a new directory.")
    if dry_run:
        raise RestoreUsage("--dry-run does not go with a registry.", hint="Restore into a directory first and look at images/index.json.")
    with (
        session.progress() as progress,
        recorded(session.platform.state, session.platform.journal, session.clock, "restore", name, into=url) as work,
    ):
        point, done = session.platform.push_images(name, until, url, images, work.watch(progress))
        work.add(point=point.id, images=done.images, bytes=done.sent_bytes)
    document = {
        "system": name,
        "point": {"id": point.id, "label": point.label, "committed_at": point.committed_at.isoformat()},
        "into": url,
        "images": done.images,
        "sent": done.sent,
        "sent_bytes": done.sent_bytes,
        "mounted": done.mounted,
        "there": done.there,
        "notes": done.notes,
    }

    def human() -> None:
        for image in done.images:
            session.out.say(image)
        kept = f"{counted(done.there, 'was', 'were')} there already" + (
            f", {done.mounted} taken over inside the registry" if done.mounted else ""
        )
        session.out.say(
            f"{counted(len(done.images), 'image')} of {name} in the registry; {counted(done.sent, 'blob was', 'blobs were')} sent, {kept}."
        )
        for note in done.notes:
            session.out.warn(note)

    session.out.result(document, human)
    return 0


def _standby(session: Session, name: str, as_: str | None, conninfo: str | None, command: str | None) -> dict[str, str | None]:
    """Whom a standby follows. What is not given is taken from the plan."""
    if as_ != "standby":
        if conninfo or command:
            raise RestoreUsage("--primary-conninfo and --restore-command go with --as standby.", hint="Add --as standby.")
        return {}
    if conninfo is None and command is None:
        conninfo, secret = session.platform.streaming_from(name)
        session.out.note(f"the standby will follow {conninfo}")
        if secret:
            session.out.warn("The plan's password is not written into the directory: put it into ~/.pgpass of the account that runs it.")
    return {"primary_conninfo": conninfo, "restore_command": command}


def _one(session: Session, system: str) -> tuple[str, ...]:
    found = session.select([system])
    if len(found) != 1:
        raise RestoreUsage(f"{system} means {len(found)} systems.", hint="Restore them one by one.")
    return found


def _show(session: Session, document: dict[str, Any]) -> None:
    out = session.out
    point = document["point"]
    out.say(
        f"{document['system']}: to {document['until']}, from point {point['id'][:14]} of {local(point['committed_at'], session.plan.zone)}"
    )
    for number, step in enumerate(document["steps"], 1):
        out.say(f"  {number}. {step}")
    free = f", {human_size(document['free'])} free" if document["free"] is not None else ""
    out.say(
        f"Needs about {human_size(document['needed'])}{free}; takes about "
        f"{document['estimate']['seconds']:.0f} s ({document['estimate']['basis']})."
    )
    for warning in document["warnings"]:
        out.warn(warning)
    for refused in document["refuses"]:
        out.say(f"Would be refused: {refused['message']} {refused['hint']}")


def _single(
    session: Session, name: str, into: str, until: Any, options: dict[str, Any], database: str | None, table: str | None, *, dry_run: bool
) -> int:
    from holdfast.protection.recorded import recorded

    recovery, history = session.platform.postgres_recovery(name), session.platform.history(name)
    wrong = sorted(set(options) & {"delta", "in_place", "as", "start", "port", "tablespace_map", "target_action"})
    if wrong:
        raise RestoreUsage(f"--{wrong[0].replace('_', '-')} does not go with --database or --table.")
    if dry_run:
        document = recovery.plan_single(history, until, options, database, table, into)
        session.out.result(document, lambda: session.out.say("\n".join(document["steps"])))
        return 0
    with (
        session.progress() as progress,
        recorded(session.platform.state, session.platform.journal, session.clock, "restore", name, into=into) as work,
    ):
        document = recovery.restore_single(history, until, options, database, table, into, work.watch(progress))
        work.add(rows=document.get("rows"))
    session.out.result(document, lambda: session.out.say(f"{name}: {document['what']} restored into {document['into']}"))
    return 0
