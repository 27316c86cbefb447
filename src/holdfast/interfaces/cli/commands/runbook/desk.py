"""What the commands of runbooks work with: the plan where there is one, the library, the records. An empty machine has no plan yet."""

import os
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from holdfast.interfaces.cli.context import Session
from holdfast.plan import Plan
from holdfast.runbooks.format.library import FOLDER, Library
from holdfast.runbooks.format.lint import Promised


class Desk:
    """Made of a session; reads the plan only where its file is there."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @cached_property
    def plan(self) -> Plan | None:
        """None without a plan's file, unless one was asked for by name. Raises PlanInvalid, PlanMissing."""
        named = self.session.settings.plan or os.environ.get("HOLDFAST_PLAN")
        return self.session.plan if named or self.session.plan_path.exists() else None

    @property
    def directory(self) -> Path:
        """Where steps start: beside the plan, else here."""
        return self.session.plan_path.parent.absolute() if self.plan else Path.cwd()

    @cached_property
    def library(self) -> Library:
        if self.plan is None:
            return Library(Path.cwd() / FOLDER)
        return Library(self.plan.resolve(self.plan.document.runbooks or FOLDER))

    @property
    def zone(self) -> ZoneInfo:
        return self.plan.zone if self.plan else ZoneInfo("UTC")

    @property
    def systems(self) -> tuple[str, ...] | None:
        return self.plan.systems if self.plan else None

    def promised(self) -> list[Promised]:
        """The plan's systems and how soon they are promised back."""
        return [Promised(name, self.plan.effective(name).rto) for name in self.plan.systems] if self.plan else []
