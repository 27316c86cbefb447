"""A loaded plan."""

import contextlib
import datetime as dt
from collections.abc import Iterable
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

from holdfast.plan.digest import plan_hash
from holdfast.plan.effective import EffectiveSystem, effective
from holdfast.plan.errors import Mark, Problem, UnknownLocation, UnknownSystem, did_you_mean
from holdfast.plan.select import select
from holdfast.plan.shape.document import Document
from holdfast.plan.shape.vault import Location
from holdfast.plan.source.tree import Mapping, dotted, locate
from holdfast.plan.values.cron import zone


@dataclass(frozen=True)
class Plan:
    """What the files say, checked.

    ``path`` is the plan's own file, ``files`` all that were read, ``merged`` the plain data after includes and variables (before
    defaults), ``warnings`` what is allowed but doubtful, ``tree`` all of it with its places in the files.
    """

    document: Document
    path: Path
    files: tuple[Path, ...]
    merged: AnyMapping[str, Any] = field(repr=False)
    warnings: tuple[Problem, ...] = ()
    tree: Mapping | None = field(default=None, repr=False, compare=False)

    @property
    def platform(self) -> str:
        return self.document.platform

    @property
    def zone(self) -> ZoneInfo:
        """In which schedules, windows and retention count."""
        return zone(self.document.timezone)

    @property
    def hash(self) -> str:
        """See ``digest.plan_hash``."""
        return plan_hash(self.merged)

    @property
    def systems(self) -> tuple[str, ...]:
        """Names, in the plan's order."""
        return tuple(self.document.systems)

    def select(self, patterns: Iterable[str] = ()) -> tuple[str, ...]:
        """Names matching ``name``, a glob, ``label:team=core``, ``kind:…`` or ``tier:…``; all without a pattern. Raises UnknownSystem."""
        return select(self.document.systems, patterns)

    def effective(self, name: str) -> EffectiveSystem:
        """The sum for one system. Raises UnknownSystem."""
        if name not in self.document.systems:
            hint = did_you_mean(name, self.document.systems)
            raise UnknownSystem(
                f"The plan has no system '{name}'.", hint=hint[:1].upper() + hint[1:], pattern=name, systems=list(self.systems)
            )
        return effective(self.document, name)

    def location(self, name: str) -> Location:
        """One of the vault's locations. Raises UnknownLocation."""
        for location in self.document.vault.locations:
            if location.name == name:
                return location
        known = [location.name for location in self.document.vault.locations]
        hint = did_you_mean(name, known)
        raise UnknownLocation(f"The plan has no location '{name}'.", hint=hint[:1].upper() + hint[1:], location=name, locations=known)

    def resolve(self, path: str) -> Path:
        """A path of the plan, relative to the folder of the plan's own file."""
        return (self.path.parent / Path(path).expanduser()).absolute()

    def place(self, at: tuple[str | int, ...]) -> tuple[Mark, str]:
        """(where in the files the value at ``at`` stands, or what is nearest to it; ``at`` as people write it): for a ``Problem``."""
        mark = Mark(str(self.path), 1, 1) if self.tree is None else locate(self.tree, at)[2]
        return mark, dotted(at)

    def vault_folders(self) -> tuple[tuple[str, str], ...]:
        """(name, absolute path) of the vault's locations that are folders of this machine."""
        parts = [(location.name, urlsplit(location.url)) for location in self.document.vault.locations]
        return tuple((name, unquote(one.path)) for name, one in parts if one.scheme == "file" and one.netloc in ("", "localhost"))

    def runbooks(self) -> dict[str, str]:
        """The Markdown files of the plan's ``runbooks`` folder, by their path below it; what is no readable text is left out."""
        if self.document.runbooks is None:
            return {}
        folder = self.resolve(self.document.runbooks)
        found = {}
        for file in sorted(folder.rglob("*.md")):
            with contextlib.suppress(OSError, UnicodeDecodeError):
                found[file.relative_to(folder).as_posix()] = file.read_text(encoding="utf-8")
        return found

    def local(self, moment: dt.datetime) -> dt.datetime:
        """That moment on the plan's wall clock."""
        return moment.astimezone(self.zone)
