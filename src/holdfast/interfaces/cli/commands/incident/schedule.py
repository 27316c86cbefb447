"""What ``due`` and ``status`` do with incidents. Pages go out before anything slow begins, and again at the end."""

import datetime as dt
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.incidents.room import Declaration
    from holdfast.interfaces.cli.context import Session


class Schedule:
    """Of one command."""

    def __init__(self, session: "Session") -> None:
        from holdfast.assembly.incidents import Incidents

        self.session = session
        platform = session.platform
        self.kept: Incidents = Incidents(session.plan, session.clock, platform.environ, journal=platform.journal, state=platform.state)

    def look(self) -> list[dict[str, Any]]:
        """What is due for incidents and the written plan, JSON-ready: ``{"incident", "what", "since", "text"}``."""
        from holdfast.incidents.upkeep import due

        found = [one.document() for one in due(self.kept.living(), self.kept.policy, self.kept.log)]
        now = self.session.clock.now()
        found = [*(one for one in found if _come(one["since"], now)), *self._review(now)]
        for text in self.kept.log.doubts.values():
            self.session.out.warn(f"{text} It was passed over: holdfast log")
        self.kept.log.doubts.clear()
        return found

    def before(self) -> None:
        """Page whoever is next and send what waits, before the vault is asked for anything."""
        self.kept.upkeep()

    def after(self, names: "Sequence[str]") -> list[dict[str, Any]]:
        """Declare what the plan wants declared, learn what other hosts wrote, page and send; what is left due."""
        self._declare(names)
        try:
            self.kept.pull(self.session.platform.vault(), self.session.out.warn)
        except HoldfastError as error:
            self.session.out.warn(f"What other hosts wrote of incidents is not known: {error.message}")
        self.kept.upkeep()
        return self.look()

    @property
    def unanswered(self) -> list[str]:
        """Incidents that everybody was told of, and nobody has acknowledged."""
        return [one.id for one in self.kept.living() if one.exhausted]

    def _declare(self, names: "Sequence[str]") -> None:
        rules = self.kept.policy.rules
        if rules is None or not rules.declare:
            return
        from holdfast.incidents.objectives import declare, missed
        from holdfast.protection.status import status

        plan = self.session.plan
        past = {name: self.session.platform.past(name) for name in names}
        systems = [plan.effective(name) for name in names]
        found = status(plan.platform, systems, plan.document.windows, plan.zone, past, now=self.session.clock.now())
        wanted = [*missed(found, self.kept.policy), *self._drills()]
        for one in declare(wanted, self.kept.room, self.kept.machine):
            self.session.out.note(f"{one.id} is declared: {one.severity} {one.title}")

    def _drills(self) -> "list[Declaration]":
        """Scenarios whose last drill failed."""
        from holdfast.drills.history import drills
        from holdfast.incidents.objectives import failed_drill

        newest = {one.scenario: one for one in drills(self.kept.journal) if one.ended is not None}
        failed = [one for one in newest.values() if one.outcome == "failed"]
        made = [failed_drill(one.scenario, one.run, one.systems, one.ended, self.kept.policy) for one in failed if one.ended is not None]
        return [one for one in made if one is not None]

    def _review(self, now: dt.datetime) -> list[dict[str, Any]]:
        from holdfast.incidents.written import newest_review, review_due

        rules = self.session.plan.document.incidents
        if rules is None or rules.review is None:
            return []
        moment = review_due(self.session.plan, newest_review(self.kept.log), now)
        if moment is None or moment > now:
            return []
        text = "the written incident plan is to be reviewed: holdfast incident plan, then --reviewed"
        return [{"incident": None, "what": "review", "since": moment.isoformat(), "text": text}]


def standing(session: "Session") -> dict[str, Any]:
    """For ``status``: ``{"open": […], "due": […], "messages": {"waiting", "lost"}, "unanswered": […]}``."""
    from holdfast.incidents.view import summary

    schedule = Schedule(session)
    living = schedule.kept.living()
    outbox = schedule.kept.box
    return {
        "open": [summary(one) for one in living if one.state != "closed"],
        "due": schedule.look(),
        "messages": {"waiting": len(outbox.lines(standing=("waiting",))), "lost": len(outbox.lines(standing=("lost",)))},
        "unanswered": [one.id for one in living if one.exhausted],
    }


def tell(session: "Session", found: dict[str, Any]) -> None:
    """``standing`` in words."""
    out = session.out
    for one in found["open"]:
        drill = "[DRILL] " if one["drill"] else ""
        state = "NOBODY ANSWERS" if one["unanswered"] else one["state"]
        out.say(f"incident {one['incident']}: {drill}{one['severity']} {one['title']}: {state} (holdfast incident show {one['incident']})")
    for each in found["due"]:
        out.say(f"{each['incident'] or 'incidents'}: {each['text']}")
    waiting, lost = found["messages"]["waiting"], found["messages"]["lost"]
    if waiting or lost:
        out.warn(f"messages about incidents: {waiting} wait for their channel, {lost} were not taken at all")


def _come(since: str, now: dt.datetime) -> bool:
    return dt.datetime.fromisoformat(since) <= now
