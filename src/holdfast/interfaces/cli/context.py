"""What a command is given: the plan, the platform behind it, output, progress, time; each made when first asked for."""

import contextlib
import datetime as dt
import functools
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from holdfast.interfaces.cli.grammar.settings import Settings
from holdfast.interfaces.cli.terminal.output import Output

if TYPE_CHECKING:
    from pathlib import Path

    from holdfast.assembly import Platform
    from holdfast.model import Clock, Progress
    from holdfast.plan import Plan


class Session:
    """One run of the command line. ``kept`` is what a person is told when they stop it: set it as the work goes on."""

    def __init__(self, settings: Settings, out: Output | None = None, clock: "Clock | None" = None) -> None:
        self.settings = settings
        self.out = out or Output(as_json=settings.json, verbose=settings.verbose)
        self._clock = clock
        self.kept = "What was finished is kept. Run the same command again to go on."
        self._closing = contextlib.ExitStack()

    @functools.cached_property
    def clock(self) -> "Clock":
        """The machine's, where no other was given."""
        from holdfast.model import SystemClock

        return self._clock or SystemClock()

    @property
    def plan_path(self) -> "Path":
        """Where the plan is: --plan, $HOLDFAST_PLAN, or holdfast.yaml here."""
        from pathlib import Path

        return Path(self.settings.plan or os.environ.get("HOLDFAST_PLAN") or "holdfast.yaml")

    @functools.cached_property
    def plan(self) -> "Plan":
        """Raises PlanMissing, PlanInvalid."""
        from holdfast.plan import load

        return load(self.plan_path, self.settings.set)

    @functools.cached_property
    def platform(self) -> "Platform":
        """The rooms behind the plan, joined; closed when the command ends."""
        from holdfast.assembly import Platform

        platform = Platform(self.plan, clock=self.clock)
        platform.told = self.out.warn
        if hasattr(platform, "close"):
            self._closing.callback(platform.close)
        self._after_killed_drills(platform)
        return platform

    def _after_killed_drills(self, platform: "Platform") -> None:
        """What a killed drill left is undone by the next command, whichever it is."""
        folder = platform.state_folder / "drills"
        if folder.is_dir() and any(folder.glob("*.json")):
            from holdfast.errors import HoldfastError
            from holdfast.interfaces.cli.commands.drill.desk import look_after

            try:
                for text in look_after(platform, self.settings.set):
                    self.out.warn(text)
            except HoldfastError as error:
                self.out.warn(f"What a killed drill left could not be looked at: {error.message}")

    def select(self, patterns: Iterable[str] = ()) -> tuple[str, ...]:
        """Systems of the plan that a person means. Raises UnknownSystem."""
        return self.plan.select(patterns)

    def import_ahead(self, names: Iterable[str], work: str) -> None:
        """Begin with the imports that ``work`` on these systems needs, beside what comes first."""
        from holdfast.assembly.ahead import import_ahead

        import_ahead((self.plan.effective(name).kind for name in names), work)

    def progress(self) -> "contextlib.AbstractContextManager[Progress]":
        """``with session.progress() as progress:``."""
        from holdfast.interfaces.cli.terminal.progress import progress

        return progress(self.out.stderr)

    def confirm(self, name: str, change: str) -> None:
        """Ask for ``name`` before ``change``. Raises NotConfirmed."""
        from holdfast.interfaces.cli.terminal.confirm import confirm

        confirm(name, change, yes=self.settings.yes)

    def time(self, text: str) -> dt.datetime:
        """A moment as a person wrote it; the instant understood is told on stderr when the text was not exact itself. Raises BadTime."""
        from holdfast.interfaces.cli.terminal.times import understood
        from holdfast.plan.values.moments import parse_time

        now = self.clock.now()
        moment = parse_time(text, now=now, zone=self.plan.zone)
        if text.strip() != moment.isoformat():
            self.out.note(f"{text} is understood as {understood(moment, now=now, zone=self.plan.zone)}")
        return moment

    def copy_records(self) -> None:
        """The journal and the plan into the vault's locations, if this run wrote in the journal. A failure is told and ends nothing."""
        platform = self.__dict__.get("platform")
        if platform is None or "journal" not in getattr(platform, "__dict__", ()):
            return
        for sentence in platform.copy_records():
            self.out.warn(sentence)

    def tell_troubles(self) -> None:
        """Which locations were found bad while another one served in their place: somebody has to look after them."""
        platform = self.__dict__.get("platform")
        for trouble in platform.troubles() if platform is not None and hasattr(platform, "troubles") else ():
            self.out.warn(trouble.sentence)

    def close(self) -> None:
        """Close what was opened."""
        try:
            self.copy_records()
            self.tell_troubles()
        finally:
            self._closing.close()
