"""``holdfast due``.

JSON: ``{"due": [{"system", "verb", "tier", "since", "reason", "blocked", "points"}]}``; with ``--run`` each has ``outcome`` (ok, failed,
blocked, taken, gone), ``facts`` and ``error`` besides; ``"incidents": [{"incident", "what": "escalate" | "postmortem" | "action" |
"update" | "review", "since", "text"}]``. Exit status with ``--run``: that of the worst failure, else 1 while nobody answers an incident,
else 0.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any

from holdfast.errors import FoundWrong, HoldfastError, Unreachable
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option, Systems
from holdfast.interfaces.cli.terminal.tables import Cell

if TYPE_CHECKING:
    from holdfast.protection.due import Due
    from holdfast.protection.run_due import Done


class IncidentsFailed(Unreachable):
    """Incidents could not be looked after."""

    code = "incidents-failed"


class VerifyFailed(FoundWrong):
    """A scheduled proof found something wrong."""

    code = "verify-failed"


def command(
    session: Session, systems: Systems = (), *, run: Annotated[bool, Option("do it, once; safe from cron on several hosts")] = False
) -> int:
    """Say what is due now by plan and history: backup, copy, verify, prune; of incidents: pages, post-mortems, action items, the review.

    What must wait is shown with its reason: a pause, a window, a freeze, a failure a moment ago. With --run, whoever is next in an
    incident's chain is paged before anything else is done, and what the plan wants declared is declared.
    """
    from holdfast.interfaces.cli.commands.incident.schedule import Schedule
    from holdfast.protection.due import due

    plan = session.plan
    incidents = Schedule(session)
    troubles: list[HoldfastError] = []
    if run:
        with _kept_going(session, troubles):
            incidents.before()
    names = [name for name in session.select(systems) if plan.effective(name).available]

    def look(chosen: list[str]) -> "list[Due]":
        past = {name: session.platform.past(name) for name in chosen}
        return due([plan.effective(name) for name in chosen], plan.document.windows, plan.zone, past, session.clock.now())

    items = look(names)
    if not run:
        waiting = incidents.look()
        session.out.result({"due": [item.document() for item in items], "incidents": waiting}, lambda: _show(session, items, waiting))
        return 0
    from holdfast.protection.run_due import run_due

    session.platform.trigger = "schedule"
    session.platform.anchoring = bool(session.platform.journal)
    _sweep(session, names)

    def still(item: "Due") -> "Due | None":
        return next((again for again in look([item.system]) if again.key == item.key), None)

    work = _Work(session)
    done = run_due(
        items,
        {"backup": work.backup, "copy": work.copy, "verify": work.verify, "prune": work.prune},
        session.platform.state,
        still=still,
        shared=lambda key: _between_hosts(session, key),
        told=lambda each: session.out.note(_line(each)),
    )
    left: list[dict[str, Any]] = []
    unanswered: list[str] = []
    with _kept_going(session, troubles):
        left = incidents.after(names)
        unanswered = incidents.unanswered

    def human() -> None:
        session.out.say(f"{len(done)} due, {_count(done)}")
        _incidents(session, left)

    for one in unanswered:
        session.out.warn(f"NOBODY ANSWERS {one}: everybody was told (holdfast incident ack {one})")
    session.out.result({"due": [each.document() for each in done], "incidents": left, "unanswered": unanswered}, human)
    failed = [*(each.error for each in done if each.error is not None), *troubles]
    return max((error.status for error in failed), default=1 if unanswered else 0)


@contextlib.contextmanager
def _kept_going(session: Session, troubles: list[HoldfastError]) -> Iterator[None]:
    """What is wrong with incidents keeps no backup from being made; it is told, and in the exit status."""
    try:
        yield
    except HoldfastError as error:
        troubles.append(error)
        session.out.warn(f"Incidents were not looked after: {error.message} {error.hint}".rstrip())
    except Exception as error:  # noqa: BLE001 - a full disk or a defect there must not cost a backup either
        trouble = IncidentsFailed(f"{type(error).__name__}: {error}.", hint="holdfast --debug incident list")
        troubles.append(trouble)
        session.out.warn(f"Incidents were not looked after: {trouble.message} {trouble.hint}")


def _sweep(session: Session, names: list[str]) -> None:
    """What killed processes left of isolated copies goes now, though none of its kind may be made for long. By one system of each kind."""
    for name in {session.plan.effective(name).kind: name for name in names}.values():
        with contextlib.suppress(HoldfastError):
            for removed in session.platform.recovery(name).sweep():
                session.out.note(f"Removed what a killed process left: {removed}")


class CopyRefused(FoundWrong):
    """A scheduled copy met objects that are not sound in any location, or whose place is taken by others."""

    code = "copy-refused"


class _Work:
    """Does each kind of work by the same way as the command of that name."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def backup(self, item: "Due") -> dict[str, Any]:
        with self.session.progress() as progress:
            point = self.session.platform.backup(item.system, progress)
        return {"point": point.id, "method": point.method}

    def verify(self, item: "Due") -> dict[str, Any]:
        """``structure``: the vault's own; otherwise a restore into isolation, compared with the source where the plan says how."""
        state = self.session.platform.state
        if item.tier == "structure":
            facts = self._structure(item)
            state.proofs.add(item.system, "structure", ok=facts["ok"], found=facts["found"])
            if not facts["ok"]:
                raise VerifyFailed(f"The vault's structure has {facts['found']} findings.", hint="holdfast vault check", system=item.system)
            return facts
        from holdfast.interfaces.cli.commands.prove.verify import _verify, content_of

        # To read a whole source again is for who asks for it.
        wanted = self.session.plan.effective(item.system).verify.compare
        found = _verify(self.session, item.system, None, content=content_of(self.session, item.system) if wanted else None)
        if found["verdict"] != "passed":
            raise VerifyFailed(
                f"The proof of {item.system} did not pass: {found.get('message') or found.get('counts')}.",
                hint=f"holdfast verify {item.system}",
                system=item.system,
            )
        return {"verdict": found["verdict"], "counts": found["counts"], "compared": found["compared"]["how"]}

    def _structure(self, item: "Due") -> dict[str, Any]:
        from holdfast.protection.recorded import recorded
        from holdfast.vault.check import Check
        from holdfast.vault.errors import NotAllChecked

        platform = self.session.platform
        with (
            self.session.progress() as progress,
            recorded(platform.state, platform.journal, self.session.clock, "vault-check", item.system) as work,
        ):
            report = Check(platform.vault(item.system), progress=work.watch(progress)).run()
            facts = {"ok": report.ok, "found": len([one for one in report.found if one.severity != "notice"])}
            work.add(**facts, verdict=report.verdict, results=report.results)
            if report.silent and not report.wrong:
                url, why = next(iter(report.silent.items()))
                raise NotAllChecked(
                    f"{url} was not checked to the end ({why}); nothing wrong was found elsewhere.",
                    hint="When it answers again: holdfast vault check",
                    silent=list(report.silent),
                )
        return facts

    def copy(self, item: "Due") -> dict[str, Any]:
        """Each location of the system's tier gets what the others hold."""
        from holdfast.protection.recorded import recorded

        platform = self.session.platform
        with (
            self.session.progress() as progress,
            recorded(platform.state, platform.journal, self.session.clock, "copy", item.system) as work,
        ):
            done = platform.complete(item.system, work.watch(progress))
            copied = [one for one in done.values() if not isinstance(one, HoldfastError)]
            facts = {"bytes": sum(one.bytes for one in copied), "points": sum(one.points for one in copied)}
            work.add(**facts)
            for one in done.values():
                if isinstance(one, HoldfastError):
                    raise one
        refused = [sentence for one in copied for sentence in one.refused]
        if refused:
            raise CopyRefused(
                f"{refused[0]} ({len(refused)} in all.)", hint="holdfast vault check --read all --heal, then: holdfast vault copy"
            )
        return facts

    def prune(self, item: "Due") -> dict[str, Any]:
        """The whole vault by every system's policy, so that nothing shared is judged by one policy alone."""
        from holdfast.vault.prune.plan import MOST

        del item
        platform = self.session.platform
        with self.session.progress() as progress:
            done = platform.prune(platform.prune_plan(), most=MOST, progress=progress)
        return {"points": done.points, "packs": done.packs, "bytes": done.bytes}


@contextlib.contextmanager
def _between_hosts(session: Session, key: str) -> Iterator[bool]:
    """A lease in the vault's first location, timed by that location's clock, so that several hosts do one thing once."""
    from holdfast.vault.logs.errors import LogFollowed
    from holdfast.vault.logs.lease import Lease

    vault = session.platform.vault(key.rpartition("/")[2])
    try:
        lease = Lease(
            vault.locations.first,
            vault.notary,
            session.clock,
            vault.notary.tag("system", f"due/{key}"),
            vault.notary.tag("branch", "due"),
            seconds=120,
        )
    except LogFollowed:
        yield False
        return
    try:
        yield True
    finally:
        lease.release()


def _incidents(session: Session, waiting: list[dict[str, Any]]) -> None:
    for each in waiting:
        session.out.say(f"{each['incident'] or 'incidents'}: {each['text']}")


def _show(session: Session, items: "list[Due]", waiting: list[dict[str, Any]]) -> None:
    _incidents(session, waiting)
    if not items:
        if not waiting:
            session.out.say("Nothing is due.")
        return
    rows = [
        (
            item.system,
            item.verb + (f" ({item.tier})" if item.tier else ""),
            item.since.astimezone(session.plan.zone).isoformat(timespec="minutes") if item.since else "ever",
            item.reason,
            Cell(item.blocked, "warn") if item.blocked else Cell("now", "ok"),
        )
        for item in items
    ]
    session.out.table(("system", "what", "since", "why", "runs"), rows)


def _line(done: "Done") -> str:
    said = done.error.message if done.error else str(done.facts.get("why", ""))
    return f"{done.due.system}: {done.due.verb}: {done.outcome}{': ' + said if said else ''}"


def _count(done: "list[Done]") -> str:
    outcomes = [each.outcome for each in done]
    return (
        ", ".join(f"{outcomes.count(one)} {one}" for one in ("ok", "failed", "blocked", "taken", "gone") if one in outcomes)
        or "nothing to do"
    )
