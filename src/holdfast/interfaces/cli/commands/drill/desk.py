"""What the commands of drills work with."""

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from holdfast.drills.engine.drill import Desk, after_kills
from holdfast.drills.scenario.library import FOLDER, Library
from holdfast.interfaces.cli.context import Session

if TYPE_CHECKING:
    from holdfast.assembly import Platform


class DrillDesk:
    """Of one plan."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @cached_property
    def library(self) -> Library:
        """The plan's folder where there is a plan; the shipped scenarios always."""
        if not self.session.plan_path.exists() and self.session.settings.plan is None:
            return Library(None)
        return Library(self.session.plan.resolve(self.session.plan.document.drills.folder or FOLDER))

    @cached_property
    def desk(self) -> Desk:
        return desk_of(self.session.platform)


def desk_of(platform: "Platform") -> Desk:
    """The state, the journal, and who owns what."""
    plan = platform.plan
    owners = {name: owner for name in plan.systems if (owner := getattr(plan.document.systems[name], "owner", None))}
    return Desk(platform.state, platform.journal, platform.clock, plan.document.drills.owner, owners)


def look_after(platform: "Platform", settings: Sequence[str] = ()) -> list[str]:
    """Undo what killed drills left; told in sentences. ``settings``: as given with ``--set``."""
    from holdfast.assembly.drills import PlatformStage
    from holdfast.interfaces.cli.commands.drill.responder import responder

    close = responder(platform.plan, settings, platform.environ)
    return after_kills(desk_of(platform), PlatformStage(platform, settings), close)
