"""Starts a restored directory and sees its recovery through to the target."""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.model import Clock, Progress
from holdfast.systems.postgres import lsn as positions
from holdfast.systems.postgres.restore import config
from holdfast.systems.postgres.restore.errors import RecoveryFailed
from holdfast.systems.postgres.restore.files import write_file
from holdfast.systems.postgres.restore.planning.options import Options
from holdfast.systems.postgres.restore.planning.reach import Reach
from holdfast.systems.postgres.restore.planning.target import Target
from holdfast.systems.postgres.restore.settings import choose_port
from holdfast.systems.postgres.running.binaries import Account, Binaries
from holdfast.systems.postgres.running.instance import Instance, Replay, ServerFailed, start, wait

PATIENCE = 900.0
"""Seconds without any progress of replay after which recovery counts as stuck."""

_PORT_TAKEN = "could not create any TCP/IP sockets"
_UNREACHED = "recovery ended before configured recovery target was reached"
_SMALLER = re.compile(r"(max_\w+) = \d+ is a lower setting than on the primary server, where its value was (\d+)")


@dataclass(frozen=True)
class Recovery:
    """A directory that was written, and how its recovery is to end."""

    data: Path
    binaries: Binaries
    who: Account
    reach: Reach
    target: Target
    options: Options
    clock: Clock
    progress: Progress
    restore_command: str = ""


@dataclass(frozen=True)
class Outcome:
    """A server that reached the target. ``reached`` is JSON-ready: timeline, lsn, time of the last commit, recovering or not."""

    instance: Instance
    reached: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def recover(work: Recovery) -> Outcome:
    """Start, wait for the target, tell where the data stands. The server is left running. Raises RecoveryFailed, ServerFailed,
    ServerStuck.
    """
    work.progress.phase("replay", max(0, work.reach.end - work.reach.base.start))
    notes: list[str] = []
    extra: dict[str, str] = {}
    for _ in range(6):
        instance = _start(work, extra)
        try:
            state = _wait(work, instance)
        except ServerFailed as failed:
            instance.stop(fast=False)
            log = instance.log.read_text(errors="replace")
            if found := _raised(log, extra):
                extra |= found
                continue
            if _PORT_TAKEN in log and not work.options.port:
                # It was free when the configuration was written: another program was quicker.
                _next_port(work)
                continue
            if _UNREACHED in log and work.reach.stop in ("lsn", "time", "immediate") and not notes:
                # The plan proved that nothing behind the target is missing, so the end of the log is the target.
                _auto(work, to_end=True)
                notes.append("Nothing was logged behind the target: recovered to the end of the log.")
                continue
            raise RecoveryFailed(failed.message, hint=failed.hint, **failed.details) from failed
        except BaseException:
            instance.stop(fast=False)
            raise
        if state.paused and (found := _raised(instance.log.read_text(errors="replace"), extra)):
            extra |= found
            instance.stop()
            continue
        if not state.recovering:
            # A promoted cluster needs no target any more; left in, it would stop the next standby made from it.
            write_file(work.data / "postgresql.auto.conf", "", work.who, sync=work.options.durable)
        if state.paused and (count := locked(instance)):
            notes.append(
                f"{count} relation(s) are locked by transactions that were under way at this moment: reading them waits. Promoted "
                "(--target-action promote), the copy can be read."
            )
        return Outcome(instance, _reached(instance, state), tuple(notes))
    raise RecoveryFailed(
        f"Recovery on {work.data} did not get through after 6 starts.", hint=f"Its log: {work.data / 'holdfast-server.log'}"
    )


def locked(instance: Instance) -> int:
    """Relations that a server in recovery keeps locked for transactions which had not ended: a DROP is logged before its commit."""
    [(count,)] = instance.query(
        "select count(*) from pg_catalog.pg_locks where locktype = 'relation' and mode = 'AccessExclusiveLock' and granted"
        " and pid in (select pid from pg_catalog.pg_stat_activity where backend_type = 'startup')"
    )
    return int(count)


def _start(work: Recovery, extra: Mapping[str, str]) -> Instance:
    (work.data / "holdfast-server.log").unlink(missing_ok=True)
    port = work.options.port
    chosen = None if port == 0 else _port_in(work.data)
    return start(
        work.data, work.binaries, work.who, role=work.options.superuser or "postgres", port=chosen, options=extra, clock=work.clock
    )


def _port_in(data: Path) -> int:
    return int(config.parse((data / "postgresql.conf").read_text()).get("port", "5432"))


def _next_port(work: Recovery) -> None:
    path = work.data / "postgresql.conf"
    port = choose_port(None, str(_port_in(work.data) + 1))
    write_file(path, re.sub(r"(?m)^port\b.*$", f"port = {config.quote(str(port))}", path.read_text()), work.who)


def _auto(work: Recovery, *, to_end: bool) -> None:
    role = dataclasses.replace(work.options.role, restore_command=work.restore_command or work.options.role.restore_command)
    values = config.recovery(work.reach, work.target, role, to_end_of_log=to_end)
    write_file(work.data / "postgresql.auto.conf", "".join(f"{name} = {config.quote(value)}\n" for name, value in values.items()), work.who)


def _raised(log: str, already: Mapping[str, str]) -> dict[str, str]:
    """Limits that the source raised later in the log than the base backup: recovery goes on only with at least as much."""
    found = dict(_SMALLER.findall(log))
    return {name: value for name, value in found.items() if int(already.get(name, 0)) < int(value)}


def _wait(work: Recovery, instance: Instance) -> Replay:
    before = work.reach.base.start

    def seen(state: Replay) -> None:
        nonlocal before
        if state.lsn is not None and (now := min(positions.parse(state.lsn), work.reach.end)) > before:
            work.progress.advance(now - before)
            before = now

    def done(state: Replay) -> bool:
        if work.options.role.standby and work.reach.stop == "end-of-log":
            return state.lsn is not None and positions.parse(state.lsn) >= _last(work.reach)
        return state.paused or not state.recovering

    return wait(instance, done, seen=seen, timeout=PATIENCE)


def _last(reach: Reach) -> int:
    """What a standby must have replayed to count as arrived: the last commit that is known, else consistency."""
    return max(reach.base.stop, reach.mark.end if reach.mark else 0)


def _reached(instance: Instance, state: Replay) -> dict[str, Any]:
    [(timeline,)] = instance.query("select timeline_id from pg_control_checkpoint()")
    time = state.commit_time
    return {"timeline": timeline, "lsn": state.lsn, "commit_time": time, "recovering": state.recovering, "paused": state.paused}
