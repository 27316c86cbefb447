"""What a platform has of the host it runs on: the plan, the clock, where state, journal and cache lie, how a secret is found."""

import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from holdfast.journal import Journal
from holdfast.model import Clock, SystemClock
from holdfast.plan import Plan
from holdfast.state import State, directory


def cache_directory(environ: Mapping[str, str]) -> Path:
    """``HOLDFAST_CACHE``, else ``holdfast`` below ``XDG_CACHE_HOME``, else ``~/.cache/holdfast``. May be lost at any time."""
    if chosen := environ.get("HOLDFAST_CACHE"):
        return Path(chosen).expanduser().absolute()
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser().absolute() if base else Path.home() / ".cache") / "holdfast"


class Host:
    """A plan on this machine."""

    def __init__(self, plan: Plan, *, clock: Clock | None = None, environ: Mapping[str, str] | None = None) -> None:
        self.plan = plan
        self.clock: Clock = clock or SystemClock()
        self.environ = os.environ if environ is None else environ
        self.limits: tuple[float | None, int] = (None, 0)
        """Bytes a second and threads of what runs now, for other processes that take part in it."""

    @cached_property
    def state(self) -> State:
        return State(directory(self.environ), self.clock)

    @cached_property
    def journal(self) -> Journal:
        return Journal(directory(self.environ) / "journal", self.clock)

    @cached_property
    def cache(self) -> Path:
        return cache_directory(self.environ)

    def _secret(self, reference: Any) -> str:
        from holdfast.connect.secrets import resolve

        return resolve(reference, base=self.plan.path.parent, environ=self.environ)
