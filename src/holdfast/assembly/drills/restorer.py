"""One system of the plan, as a drill works with it."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.assembly.drills import elsewhere as places
from holdfast.assembly.drills.hands import Hands, hands, unmarked, whereabouts
from holdfast.drills.contract import CONTROLS, Changes, Control, Look, Mark, Promised, Restorer
from holdfast.drills.errors import DrillUsage
from holdfast.errors import HoldfastError
from holdfast.model import Progress
from holdfast.plan import Plan
from holdfast.systems.contract import RestoreRequest
from holdfast.validation import Check, Result, checks_of, compare, run, structure

if TYPE_CHECKING:
    from holdfast.assembly.platform import Platform
    from holdfast.systems.contract import Isolated


def asked_of(plan: Plan, name: str) -> list[Check]:
    """The plan's checks of a system, as far as they need no answer of the source: what is compared is compared by content here."""
    return [one for one in checks_of(plan, name) if not one.compare]


class StandingCopy:
    """Satisfies ``drills.contract.Copy``."""

    def __init__(self, platform: "Platform", system: str, view: "Isolated", own: Hands | None, until: Mapping[str, Any]) -> None:
        self._platform, self.system, self.view, self.hands = platform, system, view, own
        self._until = until

    @property
    def reached(self) -> Mapping[str, Any]:
        return self.view.reached

    @property
    def connection(self) -> str:
        return self.view.connection

    @property
    def until(self) -> Mapping[str, Any]:
        return self._until

    def isolation(self) -> Sequence[Mapping[str, Any]]:
        return self.hands.isolation(self.view) if self.hands is not None else []

    def marks(self, nonce: str) -> Sequence[Mark]:
        return self.hands.marks(self.view, nonce) if self.hands is not None else []

    def digest(self) -> Mapping[str, Any]:
        return _without_marks(self.hands, self.view.digest())

    def judge(self, criteria: Sequence[str], expected: Mapping[str, Any] | None) -> Sequence[Result]:
        found: list[Result] = []
        if "structure" in criteria:
            found += structure(self.view, self._platform.clock)
        if "checks" in criteria:
            found += run(asked_of(self._platform.plan, self.system), self.view, {}, self._platform.clock)
        if "content" in criteria:
            found += compare(expected or {}, _Unmarked(self.view, self.hands), self._platform.clock)
        return found

    def look(self) -> Look | None:
        return self.hands.look(self.view) if self.hands is not None else None


def _without_marks(own: Hands | None, digest: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: value for name, value in digest.items() if own is None or not own.own(name)}


class _Unmarked:
    """A view whose digest leaves out what drills write: marks are judged apart."""

    def __init__(self, view: "Isolated", own: Hands | None) -> None:
        self._view, self._own = view, own

    def digest(self, selection: Sequence[str] = ()) -> Mapping[str, Any]:
        return _without_marks(self._own, self._view.digest(selection))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)


class PlatformRestorer:
    """Satisfies ``drills.contract.Restorer``. ``plan``: by which it comes back, where that is not the platform's own. ``platform``: whose
    source it is, and by which points are taken. ``planted``: who writes the marks, where that is another.
    """

    def __init__(
        self, platform: "Platform", system: str, plan: Plan | None = None, *, own: Hands | None = None, planted: Restorer | None = None
    ) -> None:
        self._planted = planted if isinstance(planted, PlatformRestorer) else self
        self.platform, self.system, self.plan = platform, system, plan
        effective = platform.plan.effective(system)
        self.kind = effective.kind
        rpo = effective.tightest_rpo
        self.promised = Promised(
            effective.rto.total_seconds() if effective.rto is not None else None, rpo.total_seconds() if rpo is not None else None
        )
        self.owner: str | None = getattr(effective.spec, "owner", None)
        self.hands = own or hands(platform, system)
        self.has_checks = bool(asked_of(platform.plan, system))
        self.unasked: Sequence[str] = tuple(one.name for one in checks_of(platform.plan, system) if one.compare)
        self.marked = self.hands is not None
        self.unmarked = "" if self.marked else unmarked(platform, system)
        # A stale point is told by its marks, and a copy is changed by the same hands.
        self.controls: Sequence[Control] = self.hands.controls if self.hands is not None else ("truncated",)

    # ------------------------------------------------------------ looking

    def steady(self) -> Sequence[Result]:
        found = [self._asked("vault", self._vault), self._asked("room", self._room)]
        if self.hands is not None:
            found.append(self._asked("marks", self.hands.ready))
        checks = [one for one in asked_of(self.platform.plan, self.system) if one.suite is None and one.command is None]
        try:
            with self.platform.recovery(self.system).source() as view:
                found.append(self._asked("source answers", lambda: str(view.reached)))
                found += run(checks, view, {}, self.platform.clock)
        except HoldfastError as error:
            found.append(Result("source answers", "steady", "failed", "an answer", error.code, error.message))
        return found

    def _asked(self, name: str, ask: Callable[[], str]) -> Result:
        try:
            return Result(name, "steady", "passed", None, ask())
        except HoldfastError as error:
            return Result(name, "steady", "failed", "an answer", error.code, error.message)

    def _vault(self) -> str:
        return f"{len(self.platform.vault(self.system).points(self.system))} points"

    def _room(self) -> str:
        sandbox = self.platform.plan.document.sandbox
        if sandbox is not None and sandbox.max < 2:
            raise DrillUsage(
                "The plan allows one isolated copy at a time, and a drill needs two: what is lost, and what comes back.",
                hint="Raise sandbox.max to 2.",
            )
        return "for two copies"

    def points(self) -> int:
        return len(self.platform.vault(self.system).points(self.system))

    # ------------------------------------------------------------ changing

    def plant(self, nonce: str, n: int, changes: Changes) -> Mark:
        assert self.hands is not None
        if n == 0:
            undo = {"kind": "marks", "system": self.system, "nonce": nonce, **whereabouts(self.platform, self.system)}
            changes.doing(f"marks in {self.system}", undo)
            # Before the first mark: a later point may hold it, and would not be stale.
            self.first = self._newest()
        return self.hands.plant(nonce, n)

    first: str | None = None
    """The newest point before the first mark."""

    def _newest(self) -> str | None:
        points = self.platform.vault(self.system).points(self.system)
        return points[-1].id if points else None

    def backup(self, progress: Progress) -> str:
        return self.platform.backup(self.system, progress).id

    # ------------------------------------------------------------ copies

    @contextlib.contextmanager
    def stand_in(self, progress: Progress) -> Iterator[StandingCopy]:
        with self._isolated(self.platform, {"kind": "latest"}, {}, progress, "drill: stands for production") as copy:
            yield StandingCopy(self.platform, self.system, copy.view, copy.hands, self._until(copy.view))

    def _until(self, view: "Isolated") -> Mapping[str, Any]:
        """The moment that a copy stands at. Of a database with its log, so that what production does meanwhile is not taken for a fault."""
        point, position = view.reached.get("point"), view.reached.get("lsn")
        if self.kind == "postgres" and position:
            until = {"kind": "lsn", "lsn": str(position), "inclusive": False}
            with contextlib.suppress(HoldfastError):
                self.platform.recovery(self.system).plan_restore(
                    self.platform.history(self.system), RestoreRequest(Path("/nonexistent/holdfast"), until)
                )
                return until
            return {"kind": "latest"}
        return {"kind": "point", "point": str(point)} if point else {"kind": "latest"}

    def recover(
        self, until: Mapping[str, Any], control: Control | None, clocks: dict[str, float], progress: Progress
    ) -> AbstractContextManager[StandingCopy]:
        return self._recovered(until, control, clocks, progress)

    @contextlib.contextmanager
    def _recovered(
        self, until: Mapping[str, Any], control: Control | None, clocks: dict[str, float], progress: Progress
    ) -> Iterator[StandingCopy]:
        if control is not None and control not in CONTROLS:
            raise DrillUsage(f"There is no control '{control}'.", hint=f"One of: {', '.join(CONTROLS)}")
        if control == "stale":
            first = self._planted.first
            until = {"kind": "point", "point": first} if first else {"kind": "nothing older"}
        began = self.platform.clock.monotonic()
        with places.elsewhere(self.platform, self.plan, cut=control == "truncated") as machine:
            opened = self.platform.clock.monotonic() - began
            with self._isolated(machine, until, clocks, progress, f"drill: {control or 'recovery'}") as copy:
                clocks["prepare"] = clocks.get("prepare", 0.0) + opened
                if control == "poisoned" and copy.hands is not None:
                    copy.hands.spoil(copy.view, None, 0.0)
                yield copy

    @contextlib.contextmanager
    def _isolated(
        self, platform: "Platform", until: Mapping[str, Any], clocks: dict[str, float], progress: Progress, purpose: str
    ) -> Iterator[StandingCopy]:
        recovery = platform.recovery(self.system)
        options: dict[str, Any] = {"purpose": purpose, "clocks": clocks}
        if self.kind == "postgres":
            options["target_action"] = "promote"
        with recovery.isolate(platform.history(self.system), until, options, progress) as view:
            yield StandingCopy(self.platform, self.system, view, self.hands, until)

    def sweep(self) -> Sequence[str]:
        return [*self.platform.recovery(self.system).sweep(), *places.sweep(self.platform)]
