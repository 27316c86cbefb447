"""Plans for incidents, hosts with journals and clocks of their own, people."""

import contextlib
import datetime as dt
import io
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from unittest import mock

from holdfast.incidents.policy import policy
from holdfast.incidents.record.log import Log
from holdfast.incidents.room import Declaration, Room
from holdfast.journal import Journal
from holdfast.plan import load
from holdfast.runbooks.engine.people import Person
from tests.cli.running import environment
from tests.plan.writing import SMALL

PLAN = (
    SMALL.replace("    labels: {team: core}\n", "    labels: {team: core, public: Orders}\n    owner: core\n")
    + """\
people:
  core: {name: Core team, channels: [chat, pager], email: core@shop.example, phone: "+49 30 1", escalate_after: {10m: lead, 30m: head}}
  lead: {name: The lead, channels: [pager]}
  head: {name: The head, channels: [mail], email: [head@shop.example]}
channels:
  chat: {kind: webhook, url: {env: CHAT}}
  pager: {kind: webhook, url: {env: PAGER}}
  mail: {kind: webhook, url: {env: MAILER}}
incidents:
  on_call: lead
  tell: [chat]
  roles: {communications: head}
  acknowledge: 15m
  postmortem: 24h
  review: yearly
  severities: {SEV1: {meaning: "shops cannot sell", update: 30m}, P4: {escalate: false}}
"""
)


class Clock:
    """``wall`` and ``mono`` move together unless somebody sets the wall clock."""

    def __init__(self, moment: dt.datetime | None = None) -> None:
        self.moment = moment or dt.datetime(2026, 11, 21, 10, 0, tzinfo=dt.UTC)
        self.seconds = 1000.0

    def now(self) -> dt.datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.forward(seconds)

    def forward(self, seconds: float) -> None:
        self.moment += dt.timedelta(seconds=seconds)
        self.seconds += seconds

    def set(self, seconds: float) -> None:
        """The wall clock alone."""
        self.moment += dt.timedelta(seconds=seconds)


class Host:
    """One machine: its journal, its clock, its view of the others."""

    def __init__(self, folder: Path, name: str, rules, clock: Clock | None = None) -> None:
        self.folder, self.name, self.clock = folder / name, name, clock or Clock()
        self.policy = rules
        self.restart()

    def restart(self) -> None:
        self.journal = Journal(self.folder / "journal", self.clock)
        self.log = Log(self.folder, self.journal, self.clock)
        self.room = Room(self.log, self.policy)

    def who(self, name: str) -> Person:
        return Person(name, name, self.name)

    def hears(self, other: "Host") -> None:
        """Copy the other's journals as they are now."""
        self.log.others.mkdir(parents=True, exist_ok=True)
        for tag in other.journal.chains():
            (self.log.others / f"{tag}.jsonl").write_bytes((other.journal.folder / f"{tag}.jsonl").read_bytes())


def rules(folder: Path, text: str = PLAN):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "holdfast.yaml"
    path.write_text(textwrap.dedent(text))
    return policy(load(path))


def host(folder: Path, name: str = "ops1", text: str = PLAN, clock: Clock | None = None) -> Host:
    return Host(folder, name, rules(folder, text), clock)


def orders(**more) -> Declaration:
    return Declaration(**{"title": "orders are gone", "systems": ("orders-db",), **more})


FILLED = {
    "summary": "The disk was full.",
    "impact": "Nobody could order for an hour.",
    "root-cause": "Nothing watched the disk.",
    "contributing-factors": "The alert was sent to a room that nobody reads.",
    "what-went-well": "The runbook was right.",
}


def command(folder: Path, *words: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    """``holdfast`` in ``folder``, in this process: a dozen of them would take longer to start than to run."""
    from holdfast.interfaces.cli import app

    out, err, before = io.StringIO(), io.StringIO(), Path.cwd()
    with (
        mock.patch.dict(os.environ, environment(folder, **env), clear=True),
        mock.patch.object(sys, "stdin", io.StringIO(stdin)),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        os.chdir(folder)
        try:
            status = app.run(list(words))
        finally:
            os.chdir(before)
    return subprocess.CompletedProcess(list(words), status, out.getvalue(), err.getvalue())
