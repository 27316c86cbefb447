"""What looks at a backup, in the order in which a person would: the vault itself, a restore, what is in it, the source."""

from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from holdfast.assembly.systems.known import known
from holdfast.errors import HoldfastError
from holdfast.model import Silent
from holdfast.recovery import Content, Verification, verify
from holdfast.systems.contract import Isolated
from holdfast.validation import checks_of
from holdfast.vault.check import Check
from tests.mutated.stage import Case

INSTRUMENTS = ("opening the vault", "vault check", "restore", "fresh", "structure", "check", "compare")


@dataclass
class Finding:
    """``by``: the instrument that found something wrong, None when all were silent."""

    by: str | None
    said: str = ""
    skipped: list[str] = field(default_factory=list)
    verification: Verification | None = None


Spoil = Callable[[Isolated], None]


def judge(case: Case, *, spoil: Spoil | None = None, content: Content | None = None, to: Mapping[str, Any] | None = None,
          check: bool = True) -> Finding:  # fmt: skip
    """``spoil``: changes the restored copy before anything looks at it."""
    name = case.stage.kind
    try:
        with case.opened() as platform:
            vault = platform.vault(name)
            if check and (found := _check(vault)) is not None:
                return found
            recovery: Any = platform.recovery(name)
            if spoil is not None:
                recovery = _Spoilt(recovery, spoil)
            try:
                seen = verify(
                    recovery,
                    lambda: platform.history(name),
                    checks_of(platform.plan, name),
                    progress=Silent(),
                    clock=platform.clock,
                    until=to,
                    content=content or True,
                    known=known(platform.state, name),
                    patience=2.0,
                )
            except HoldfastError as error:
                return Finding("restore", f"{error.code}: {error.message}")
    except HoldfastError as error:
        return Finding("opening the vault", f"{error.code}: {error.message}")
    skipped = [f"{one.name}: {one.detail}" for one in seen.report.results if one.state == "skipped"]
    for kind in INSTRUMENTS[3:]:
        wrong = [one for one in seen.report.results if one.kind == kind and one.state == "failed"]
        if wrong:
            return Finding(kind, f"{wrong[0].name}: {wrong[0].detail or wrong[0].actual}", skipped, seen)
    return Finding(None, "", skipped, seen)


def _check(vault: Any) -> Finding | None:
    report = Check(vault, share=1.0).run()
    # A notice is told as well: an index that is gone, say, costs nothing but time, and is written anew.
    if report.found:
        return Finding("vault check", str(report.found[0]))
    assert not report.silent, report.silent
    return None


class _Spoilt:
    """The recovery of a system, whose copies are changed as soon as they run."""

    def __init__(self, inner: Any, spoil: Spoil) -> None:
        self._inner, self._spoil = inner, spoil

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    @contextmanager
    def isolate(self, *given: Any) -> Any:
        with self._inner.isolate(*given) as view:
            self._spoil(view)
            yield view
