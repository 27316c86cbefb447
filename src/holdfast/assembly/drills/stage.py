"""Everything of a platform that a drill works with."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.assembly.drills import disasters
from holdfast.assembly.drills.hands import unmark
from holdfast.assembly.drills.restorer import PlatformRestorer, StandingCopy, asked_of
from holdfast.assembly.drills.surroundings import secret_places
from holdfast.drills.contract import Copy, Injector, Look, Probe, Procedure, Restorer
from holdfast.drills.errors import NotTornDown
from holdfast.errors import HoldfastError
from holdfast.state import shared
from holdfast.validation import Check, answer, ask, same

if TYPE_CHECKING:
    from holdfast.assembly.platform import Platform

LONGEST = 30.0
"""Seconds that one look of a scenario's own probe may take."""


class PlatformStage:
    """Satisfies ``drills.contract.Stage``."""

    def __init__(self, platform: "Platform", settings: Sequence[str] = ()) -> None:
        """``settings``: given with ``--set``, for commands of runbooks."""
        self.platform, self.settings = platform, tuple(settings)

    def restorers(self, systems: Sequence[str]) -> Sequence[Restorer]:
        return [PlatformRestorer(self.platform, name) for name in systems if name in self.platform.plan.systems]

    def injector(self, disaster: Mapping[str, Any]) -> Injector:
        kind = disaster["kind"]
        if kind == "ransomware":
            from holdfast.assembly.drills.ransomware import Ransomware

            return Ransomware(self.platform, disaster)
        found: dict[str, Callable[[Platform, Mapping[str, Any]], Injector]] = {
            "system-lost": disasters.SystemLost,
            "table-corrupted": disasters.TableCorrupted,
            "location-lost": disasters.LocationLost,
            "key-holder-absent": disasters.KeyAbsent,
        }
        return found[kind](self.platform, disaster)

    def procedure(self, spec: Mapping[str, Any]) -> Procedure:
        from holdfast.assembly.drills.procedure import PlatformProcedure

        return PlatformProcedure(self.platform, spec, self.settings)

    def probes(self, specs: Sequence[Mapping[str, Any]], standing: Mapping[str, Copy]) -> Sequence[Probe]:
        found: list[Probe] = []
        for system, copy in standing.items():
            if not isinstance(copy, StandingCopy):
                continue
            if copy.look() is not None:
                found.append(Answers(f"{system} answers", copy))
            if self.platform.plan.effective(system).kind == "postgres":
                found += [Asks(f"{system}: {one.name}", copy, one) for one in asked_of(self.platform.plan, system) if one.sql is not None]
                found.append(Rows(f"{system}: rows", copy))
            for spec in specs:
                check = Check(spec["name"], spec.get("sql"), spec.get("command"), spec.get("database"), spec.get("expect"), timeout=LONGEST)
                found.append(Asks(f"{system}: {spec['name']}", copy, check, spec["every"], environ=_open(self.platform)))
        return found

    def undo(self, undo: Mapping[str, Any]) -> str:
        kind = undo["kind"]
        if kind == "marks":
            return unmark(self.platform, undo)
        if kind == "table":
            from holdfast.assembly.drills.production import refuse_server, target_of
            from holdfast.assembly.drills.target import mend

            target = target_of(self.platform, undo["target"])
            proof: str = mend(refuse_server(self.platform, undo["target"], target), undo)
            return proof
        if kind == "place":
            from holdfast.assembly.drills.ransomware import clear

            return clear(self.platform, undo)
        if kind == "runbook":
            from holdfast.assembly.drills.procedure import undo as end

            return end(self.platform, undo, self.settings)
        raise NotTornDown(f"This version cannot undo what is called '{kind}'.", hint="Use the version that ran the drill.")


def _open(platform: "Platform") -> dict[str, str]:
    """The environment without what the plan reads its secrets from: what only looks at a copy needs no key of the vault."""
    secret = {"HOLDFAST_KEY", *(name for kind, name in secret_places(platform.plan.merged) if kind == "env")}
    if shared(platform.environ):
        secret.add("HOLDFAST_STATE")  # its address may hold a password
    return {name: value for name, value in platform.environ.items() if name not in secret}


class _Short:
    """A look that ends of itself."""

    needs_before = ""

    def end(self) -> None:
        pass


class Answers(_Short):
    """Does it answer?"""

    def __init__(self, name: str, copy: StandingCopy) -> None:
        self.name, self.every, self._copy = name, 0.5, copy

    def look(self) -> Look:
        return self._copy.look() or Look(True)


class Asks:
    """A check of the plan or of the scenario, again and again."""

    needs_before = ""

    def __init__(
        self, name: str, copy: StandingCopy, check: Check, every: float = 1.0, *, environ: Mapping[str, str] | None = None
    ) -> None:
        self.name, self.every = name, every
        self._copy, self._check, self._environ = copy, check, environ
        self._process: subprocess.Popen[str] | None = None
        self._over = False

    def end(self) -> None:
        self._over = True
        self._kill()

    def _began(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        if self._over:
            self._kill()

    def _kill(self) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def look(self) -> Look:
        if self._over:
            return Look(None, None, "it was ended")
        try:
            value = ask(self._copy.view, self._check, environ=self._environ, began=self._began)
        except HoldfastError as error:
            return Look(None, None, f"{error.code}: {error.message}"[:300])
        except subprocess.SubprocessError as error:
            return Look(None, None, str(error)[:300])
        ok = (self._check.command is not None and self._check.expect is None) or same(self._check.expect, value)
        return Look(ok, value, "" if ok else f"{value}, expected {self._check.expect}"[:300])


class Rows(_Short):
    """No table may have fewer rows than at the first look, as monitoring of growth would see it. Those of five million rows (by
    the server's estimate) are left out.
    """

    needs_before = "it compares with its own first look, and what came back has none before: rows are compared by content"

    def __init__(self, name: str, copy: StandingCopy) -> None:
        self.name, self.every = name, 1.0
        self._copy = copy
        self._first: dict[str, int] | None = None

    def look(self) -> Look:
        now = self._count()
        if self._first is None:
            self._first = now
        fewer = {name: now.get(name, 0) for name, before in self._first.items() if now.get(name, 0) < before}
        detail = "; ".join(f"{name} has {rows} rows, had {self._first[name]}" for name, rows in list(fewer.items())[:3])
        return Look(not fewer, sum(now.values()), detail)

    def _count(self) -> dict[str, int]:
        found = {}
        for [database] in self._copy.view.query("select datname from pg_database where datallowconn and not datistemplate order by oid"):
            tables = self._copy.view.query(
                "select format('%I.%I', nspname, relname) from pg_class join pg_namespace n on n.oid = relnamespace where relkind = 'r'"
                " and nspname !~ '^(pg_|information_schema)' and reltuples < 5000000 order by 1",
                database=database,
            )
            for [table] in tables:
                found[f"{database}.{table}"] = int(answer(self._copy.view.query(f"select count(*) from {table}", database=database)))  # noqa: S608
        return found
