"""``holdfast open``: JSON (printed when the copy is ready) ``{"system", "connection", "reached", "clocks", "directory"}``."""

import os
import shutil
import signal
import subprocess
import threading
from typing import Annotated, Any

from holdfast.interfaces.cli.commands.recover.restore import _one
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option, System
from holdfast.systems.contract import Isolated


def command(
    session: Session,
    system: System,
    *,
    to: Annotated[str | None, Option("TIME, latest, immediate, lsn:…, xid:…, name:…, or a point's id or label", metavar="WHEN")] = None,
    timeline: Annotated[str | None, Option("which history, where more than one reaches the target", metavar="N")] = None,
    read_only: Annotated[bool, Option("stop exactly at the target and allow no writes")] = False,
    psql: Annotated[bool, Option("open psql on it; leaving psql tears the copy down")] = False,
    database: Annotated[str, Option("the database that psql opens")] = "postgres",
    for_: Annotated[float | None, Option("tear it down after this many seconds", "--for", metavar="SECONDS")] = None,
) -> int:
    """A temporary, isolated, running copy at any moment, torn down on leaving (Ctrl-C, or the end of psql).

    Reachable through a private socket only; nothing that is written to it is kept.
    """
    from holdfast.protection.recorded import recorded

    [name] = _one(session, system)
    recovery = session.platform.recovery(name)
    until = recovery.target(to, session.clock.now(), session.plan.zone)
    clocks: dict[str, float] = {}
    options: dict[str, Any] = {"purpose": "open", "clocks": clocks}
    if timeline:
        options["timeline"] = timeline
    if read_only:
        options["target_action"] = "pause"
    session.kept = "The copy is torn down; nothing is kept of it."
    with recorded(session.platform.state, session.platform.journal, session.clock, "open", name, to=to or "latest") as work:
        with session.progress() as progress:
            opened = recovery.isolate(session.platform.history(name), until, options, work.watch(progress))
            view = opened.__enter__()
        try:
            document = {"system": name, "connection": view.connection, "reached": dict(view.reached), "clocks": clocks}
            session.out.result(document, lambda: session.out.say(_how(name, view)))
            _stay(session, view.connection, database, psql=psql, seconds=for_)
        finally:
            opened.__exit__(None, None, None)
    return 0


def _how(name: str, view: Isolated) -> str:
    if "lsn" in view.reached:
        return f'{name} at {view.reached["lsn"]}: psql "{view.connection}"'
    return f"{name} of {view.reached.get('time')}: {view.connection}"


def _stay(session: Session, connection: str, database: str, *, psql: bool, seconds: float | None) -> None:
    if psql:
        program = shutil.which("psql")
        if program is not None:
            # Ctrl-C belongs to psql while it runs.
            before = signal.signal(signal.SIGINT, signal.SIG_IGN)
            try:
                subprocess.run([program, f"{connection} dbname={database}"], check=False, env={**os.environ, "PGAPPNAME": "holdfast open"})
            finally:
                signal.signal(signal.SIGINT, before)
            return
        session.out.warn("psql is not on this machine; connect with any client while this runs.")
    session.out.note("Press Ctrl-C to tear it down." if seconds is None else f"It is torn down in {seconds:g} s, or by Ctrl-C.")
    try:
        threading.Event().wait(seconds)
    except KeyboardInterrupt:
        session.out.note("Tearing down.")
