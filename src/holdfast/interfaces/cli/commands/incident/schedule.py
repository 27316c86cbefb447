"""What ``due`` and ``status`` do with incidents. Pages go out before anything slow begins, and again at the end."""

import datetime as dt
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError
from holdfast.plan import format_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.incidents.room import Declaration
    from holdfast.interfaces.cli.context import Session


DUE = "due --run"
QUIET = dt.timedelta(minutes=15)
"""Without 'due --run' for so long somebody may be paged too late; or for three times what is usual here, where that is longer."""
MANY = 100_000
APART = "Messages are sent from this host's own outbox, and may be told by another host, too: {}"


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
        # Only now: a run that pages nobody is none.
        self.kept.state.passes.note(DUE)
        self._apart()

    def _apart(self) -> None:
        if self.kept.apart:
            self.session.out.warn(APART.format(self.kept.apart))

    def rhythm(self) -> dict[str, Any]:
        """Whether 'due --run' keeps its rhythm: ``{"last_run", "host", "usual_seconds", "limit_seconds", "late"}``; ``last_run`` None where
        nobody knows of any run.
        """
        last = self.kept.state.passes.last(DUE)
        usual = last.every if last is not None else 0.0
        limit = max(QUIET.total_seconds(), 3 * usual)
        # One that is dated ahead of now was written by a clock that was set back since: of what came after it nobody knows.
        late = last is None or abs((self.session.clock.now() - last.at).total_seconds()) > limit
        return {
            "last_run": last.at if last is not None else None,
            "host": last.host if last is not None else None,
            "usual_seconds": round(usual, 1),
            "limit_seconds": round(limit, 1),
            "late": late,
        }

    def metrics(self) -> str:
        """For Prometheus, behind what is said of the systems."""
        from holdfast.incidents.metrics import Waiting, text

        channels = {name: Waiting() for name in self.session.plan.document.channels}
        for line in self.kept.box.lines(standing=("waiting", "lost"), limit=MANY):
            one = channels.get(line.channel, Waiting())
            waits = line.standing == "waiting"
            oldest = min((at for at in (one.oldest, line.queued) if at is not None), default=None) if waits else one.oldest
            channels[line.channel] = Waiting(one.waiting + waits, one.lost + (not waits), oldest)
        rhythm = self.rhythm()
        return text(self.kept.living(), channels, self.session.clock, rhythm["last_run"], rhythm["limit_seconds"])

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
    """For ``status``: ``{"open": […], "due": […], "messages": {"waiting", "lost"}, "unanswered": […], "schedule": {…}, "stalled"}``, where
    ``stalled``: somebody is to be told or paged, and no 'due --run' does it.
    """
    from holdfast.incidents.view import summary

    schedule = Schedule(session)
    living = schedule.kept.living()
    outbox = schedule.kept.box
    due = schedule.look()
    waiting = len(outbox.lines(standing=("waiting",)))
    rhythm = schedule.rhythm()
    return {
        "open": [summary(one) for one in living if one.state != "closed"],
        "due": due,
        "messages": {"waiting": waiting, "lost": len(outbox.lines(standing=("lost",)))},
        "unanswered": [one.id for one in living if one.exhausted],
        "schedule": rhythm,
        "stalled": rhythm["late"] and bool(waiting or any(each["what"] == "escalate" for each in due)),
    }


def unkept(found: dict[str, Any], now: dt.datetime) -> str:
    """``Schedule.rhythm`` as a sentence; '' where it is kept."""
    if not found["late"]:
        return ""
    ends = "nobody is paged, and nothing that is due is done by itself,"
    if found["last_run"] is None:
        return f"No 'holdfast due --run' is known to have run: {ends} until cron or a timer starts it every few minutes"
    minutes = round((now - found["last_run"]).total_seconds() / 60)
    ago = format_duration(dt.timedelta(minutes=abs(minutes)))
    if minutes < 0:
        return (
            f"The newest 'holdfast due --run', on {found['host']}, is dated {ago} ahead of now: a clock was set back since, and whether "
            "one has run after that nobody knows; without it nobody is paged"
        )
    usual = f" (usually every {format_duration(dt.timedelta(seconds=round(found['usual_seconds'])))})" if found["usual_seconds"] else ""
    return f"'holdfast due --run' has not run for {ago}{usual}, last on {found['host']}: {ends} while it stands still"


def tell(session: "Session", found: dict[str, Any]) -> None:
    """``standing`` in words."""
    out = session.out
    if said := unkept(found["schedule"], session.clock.now()):
        out.warn(f"{'NOBODY IS PAGED: ' if found['stalled'] else ''}{said}.")
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
