"""Kinds of disasters: each satisfies ``drills.contract.Injector``."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from holdfast.assembly.drills import elsewhere as places
from holdfast.assembly.drills import production
from holdfast.assembly.drills.hands import PostgresHands
from holdfast.assembly.drills.restorer import PlatformRestorer, StandingCopy
from holdfast.drills.contract import Changes, Copy, Injected, Restorer
from holdfast.drills.errors import DrillProduction, DrillUsage
from holdfast.errors import HoldfastError
from holdfast.model import Progress
from holdfast.plan.values.secret import KeyRef

if TYPE_CHECKING:
    from holdfast.assembly.platform import Platform

SHARE = 0.3
"""Of a table's rows that are lost."""


class _Simple:
    """Comes back by the plan's own way, and needs nothing beforehand."""

    def __init__(self, platform: "Platform", spec: Mapping[str, Any]) -> None:
        self.platform, self.spec = platform, spec

    def refuse(self) -> None:
        if self.spec["at"] != "copy":
            production.target_of(self.platform, self.spec["at"])
            raise DrillUsage(
                f"A disaster of kind {self.spec['kind']} happens to a throw-away copy, not to the target {self.spec['at']}.",
                hint="Leave the target out.",
            )

    def prepare(self, restorers: Sequence[Restorer], changes: Changes, progress: Progress) -> tuple[Sequence[Restorer], Sequence[Restorer]]:
        del changes, progress
        return restorers, restorers

    def close(self) -> None:
        pass


class SystemLost(_Simple):
    """The copy that stands for production is ended and its files are removed."""

    def do(self, standing: Mapping[str, Copy], lose: Callable[[str], None], changes: Changes) -> Injected:
        del changes
        seen = False
        for system, copy in standing.items():
            refuse_source(system, copy)
            seen = seen or (isinstance(copy, StandingCopy) and copy.look() is not None)
            lose(system)
        what = f"{', '.join(standing)}: server and files are gone"
        return Injected(what, {"at": "a throw-away copy"}, detected=not seen)


class TableCorrupted(_Simple):
    """Rows disappear: for good in a copy, in a target so that they can be brought back."""

    def refuse(self) -> None:
        if self.spec["at"] != "copy":
            target = production.target_of(self.platform, self.spec["at"])
            if target.system is None:
                raise DrillUsage(f"The target {self.spec['at']} is no system.", hint="Name one with system:", target=self.spec["at"])
            self._dsn = production.refuse_server(self.platform, self.spec["at"], target)
            self._system = target.system

    _dsn: str | None = None
    _system: str = ""

    def prepare(self, restorers: Sequence[Restorer], changes: Changes, progress: Progress) -> tuple[Sequence[Restorer], Sequence[Restorer]]:
        del changes, progress
        if self._dsn is None:
            return restorers, restorers
        if [one.system for one in restorers] != [self._system]:
            raise DrillUsage(
                f"The target {self.spec['at']} is the system {self._system}, and the drill is about others.",
                hint=f"--system {self._system}",
            )
        live = [TargetRestorer(self.platform, self._system, self._dsn)]
        return live, live

    def do(self, standing: Mapping[str, Copy], lose: Callable[[str], None], changes: Changes) -> Injected:
        del lose
        done = {}
        for system, copy in standing.items():
            assert isinstance(copy, StandingCopy)
            if self._dsn is not None:
                from holdfast.assembly.drills.target import corrupt

                done[system] = corrupt(self._dsn, self.spec["at"], self.spec.get("table"), SHARE, changes)
                continue
            refuse_source(system, copy)
            if copy.hands is None:
                raise DrillUsage(f"{system} is of kind {self.platform.plan.effective(system).kind}, whose copies cannot be harmed.")
            done[system] = copy.hands.spoil(copy.view, self.spec.get("table"), SHARE)
        words = "; ".join(f"{name}: {', '.join(f'{key} {value}' for key, value in one.items())}" for name, one in done.items())
        detected = any(
            isinstance(copy, StandingCopy) and copy.hands is not None and not isinstance(copy.hands, PostgresHands)
            for copy in standing.values()
        )
        return Injected(f"content was lost: {words}", {"harmed": done}, detected=detected)


class TargetRestorer(PlatformRestorer):
    """A system that is there for drills: the live server stands for production."""

    def __init__(self, platform: "Platform", system: str, dsn: str) -> None:
        super().__init__(platform, system, own=PostgresHands(platform, system, dsn))
        self._dsn = dsn

    @contextlib.contextmanager
    def stand_in(self, progress: Progress) -> Iterator[StandingCopy]:
        del progress
        with self.platform.recovery(self.system).source() as view:
            yield StandingCopy(self.platform, self.system, view, self.hands, {"kind": "latest"})


class LocationLost(_Simple):
    """Nothing is touched: recovery is kept from the location."""

    def _name(self) -> str:
        name = self.spec.get("location")
        return self.platform.plan.location(name).name if name else self.platform.plan.document.vault.locations[0].name

    def refuse(self) -> None:
        super().refuse()
        places.without(self.platform.plan, self._name())

    def prepare(self, restorers: Sequence[Restorer], changes: Changes, progress: Progress) -> tuple[Sequence[Restorer], Sequence[Restorer]]:
        del changes, progress
        left = places.without(self.platform.plan, self._name())
        return restorers, [PlatformRestorer(self.platform, one.system, left, planted=one) for one in restorers]

    def do(self, standing: Mapping[str, Copy], lose: Callable[[str], None], changes: Changes) -> Injected:
        del lose, changes
        with places.elsewhere(self.platform, places.without(self.platform.plan, self._name())) as machine:
            left = [one.name for one in machine.plan.document.vault.locations]
        what = f"the vault's location {self._name()} is gone; {', '.join(left)} is left for {', '.join(standing)}"
        return Injected(what, {"lost": self._name(), "left": left}, detected=True)


class KeyAbsent(_Simple):
    """Nothing is touched: recovery is given another key."""

    def _key(self) -> KeyRef:
        return KeyRef.model_validate(self.spec["key"])

    def refuse(self) -> None:
        super().refuse()
        from holdfast.connect.secrets import resolve_key

        if self.spec.get("key") is None:
            raise DrillUsage("The scenario names no other key.", hint="disaster: {kind: key-holder-absent, key: {env: NAME}}")
        other = resolve_key(self._key(), base=self.platform.plan.path.parent, environ=self.platform.environ)
        if other == self.platform.key():
            raise DrillUsage(
                "The other key is the plan's own: who holds that is the one who is absent.", hint="Give the recovery key, or a colleague's."
            )

    def prepare(self, restorers: Sequence[Restorer], changes: Changes, progress: Progress) -> tuple[Sequence[Restorer], Sequence[Restorer]]:
        del changes, progress
        plan = places.with_key(self.platform.plan, self._key())
        return restorers, [PlatformRestorer(self.platform, one.system, plan, planted=one) for one in restorers]

    def do(self, standing: Mapping[str, Copy], lose: Callable[[str], None], changes: Changes) -> Injected:
        del lose, changes
        return Injected(f"whoever holds the vault's key cannot be reached; {', '.join(standing)} must come back without", detected=True)


def refuse_source(system: str, copy: Copy) -> None:
    """Before a copy is harmed: that it is none of the plan's sources. Raises DrillProduction."""
    if not isinstance(copy, StandingCopy) or not isinstance(copy.hands, PostgresHands):
        return
    there = production.server(copy.connection)
    try:
        source = production.server(copy.hands.dsn())
    except HoldfastError:
        return  # the copy answered just now, and the source does not: they are two
    if source == there:
        raise DrillProduction(
            f"What stands for {system} is {system} itself: nothing was harmed.",
            hint="This is a defect of Holdfast: a drill harms throw-away copies only. Please report it.",
            system=system,
        )
