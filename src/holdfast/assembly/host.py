"""What a platform has of the host it runs on: the plan, the clock, where state, journal and cache lie, how a secret is found."""

import getpass
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.evidence.kinds import begins
from holdfast.journal import HostKey, Journal
from holdfast.model import Clock, SystemClock
from holdfast.plan import Plan
from holdfast.state import State, chosen_folder, directory, shared

if TYPE_CHECKING:
    from holdfast.assembly.channels import Channels


def cache_directory(environ: Mapping[str, str]) -> Path:
    """``HOLDFAST_CACHE``, else ``holdfast`` below ``XDG_CACHE_HOME``, else ``~/.cache/holdfast``. May be lost at any time."""
    if chosen := environ.get("HOLDFAST_CACHE"):
        return Path(chosen).expanduser().absolute()
    base = environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser().absolute() if base else Path.home() / ".cache") / "holdfast"


def host_state(plan: Plan | None, environ: Mapping[str, str], clock: Clock) -> State:
    """The environment's, else the plan's, else this host's own. Raises SecretUnavailable where the plan keeps the address elsewhere."""
    dsn = shared(environ)
    said = plan.document.state if plan is not None else None
    if dsn is None and said is not None and plan is not None and not chosen_folder(environ):
        from holdfast.connect.secrets import resolve

        dsn = resolve(said.dsn, base=plan.path.parent, environ=environ)
    return State(directory(environ), clock, dsn)


class Host:
    """A plan on this machine."""

    def __init__(self, plan: Plan, *, clock: Clock | None = None, environ: Mapping[str, str] | None = None) -> None:
        self.plan = plan
        self.clock: Clock = clock or SystemClock()
        self.environ = os.environ if environ is None else environ
        self.trigger = "command"
        """Why runs begin: ``command`` (a person or a program asked), ``schedule``."""
        self.anchoring = False
        """Whether the journal is to be anchored at the end, if its time has come."""
        self.limits: tuple[float | None, int] = (None, 0)
        """Bytes a second and threads of what runs now, for other processes that take part in it."""

    @cached_property
    def state(self) -> State:
        return host_state(self.plan, self.environ, self.clock)

    @cached_property
    def journal(self) -> Journal:
        return Journal(self.state_folder / "journal", self.clock, self._about)

    @property
    def state_folder(self) -> Path:
        """Where state, journal and evidence of this host lie."""
        return directory(self.environ)

    @cached_property
    def host_key(self) -> HostKey:
        """Signs what this host's journal proves."""
        return HostKey(self.journal.folder)

    def _about(self, kind: str, payload: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of a run that begins: the plan it begins by, what was promised before it, and who asked."""
        if not begins(kind):
            return {}
        found: dict[str, Any] = {"plan": self.plan.hash, "platform": self.plan.platform, "by": _person(), "trigger": self.trigger}
        if self.environ.get("HOLDFAST_INCIDENT"):
            found["incident"] = self.environ["HOLDFAST_INCIDENT"]
        name = payload.get("system")
        if isinstance(name, str) and name in self.plan.systems:
            system = self.plan.effective(name)
            found["owner"] = getattr(system.spec, "owner", None)
            found["checks"] = [check.name for check in system.spec.checks]
            found["promise"] = {
                "tier": system.tier,
                "kind": system.kind,
                "rpo": {place: span.total_seconds() for place, span in system.rpo.items()},
                "rto": None if system.rto is None else system.rto.total_seconds(),
                "mtd": None if system.mtd is None else system.mtd.total_seconds(),
            }
        return found

    @cached_property
    def cache(self) -> Path:
        return cache_directory(self.environ)

    @cached_property
    def channels(self) -> "Channels":
        """Where messages go; nothing is made before one is opened."""
        from holdfast.assembly.channels import Channels

        return Channels(self.plan, self.clock, self.environ)

    def _secret(self, reference: Any) -> str:
        from holdfast.connect.secrets import resolve

        return resolve(reference, base=self.plan.path.parent, environ=self.environ)


def _person() -> str:
    """The account that runs this, and behind ``sudo`` the one that asked for it."""
    try:
        own = getpass.getuser()
    except (KeyError, OSError):
        own = str(os.getuid())
    asked = os.environ.get("SUDO_USER")
    return f"{asked} (as {own})" if asked and asked != own else own
