"""The written incident plan, made of the continuity plan: what lies in the folder that is taken along when the house burns. Nothing in it
depends on the moment, so that who reviewed it reviewed this text and no other.
"""

import datetime as dt
import hashlib
import html as escaping
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from holdfast.incidents.policy import LEVELS, Policy
from holdfast.incidents.record.log import Log
from holdfast.journal import Journal, parse
from holdfast.plan import Plan
from holdfast.plan.effective import EffectiveSystem
from holdfast.plan.values.units import format_duration
from holdfast.runbooks.engine.people import Person

KIND = "incident-plan.reviewed"
ROLES = (
    ("commander", "decides; hands out the other roles; nobody else gives orders. Who acknowledges first, until somebody else takes it"),
    ("operations", "does what is decided, by the runbook; the only one who changes systems"),
    ("communications", "tells people inside and outside, as often as the severity demands"),
    ("scribe", "writes down what was seen, decided and done, when nobody else does"),
)


@dataclass(frozen=True, slots=True)
class Block:
    """``kind``: title, heading, text, list, table (the first row is its head)."""

    kind: str
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Written:
    """The document."""

    title: str
    blocks: tuple[Block, ...]

    @property
    def markdown(self) -> str:
        return "\n".join(_markdown(block) for block in self.blocks)

    @property
    def sha256(self) -> str:
        """Of the Markdown."""
        return hashlib.sha256(self.markdown.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Review:
    """Somebody went through it."""

    at: dt.datetime
    by: str
    sha256: str


def written(plan: Plan, policy: Policy, runbooks: Sequence[tuple[str, Sequence[str]]]) -> Written:
    """``runbooks``: (name, its systems)."""
    title = f"Incident plan of {plan.platform}"
    blocks = [
        Block("title", ((title,),)),
        _text("Made by 'holdfast incident plan' out of the continuity plan. Keep a printed copy where the network does not reach."),
        *_severities(plan, policy),
        *_first_minutes(),
        *_roles(policy),
        *_contacts(plan),
        *_escalation(plan, policy),
        *_communication(policy),
        *_strategies(plan, runbooks),
        *_places(plan),
        *_after(policy),
    ]
    return Written(title, tuple(blocks))


def html(document: Written) -> str:
    """One page, for print too."""
    style = (
        "body{font:14px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}table{border-collapse:collapse;width:100%}"
        "td,th{border:1px solid #999;padding:.3em .5em;text-align:left;vertical-align:top}@media print{body{margin:0}}"
    )
    body = "\n".join(_html(block) for block in document.blocks)
    title = escaping.escape(document.title)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{style}</style></head>\n'
        f"<body>\n{body}\n</body></html>\n"
    )


def review(journal: Journal, by: Person, document: Written) -> None:
    """Journal who found which text right. Raises JournalUnwritable."""
    journal.record(KIND, by=by.to_json(), sha256=document.sha256)


def newest_review(log: Log) -> Review | None:
    """Of any host. An entry that is torn or was changed is passed over, and stands in the log's doubts."""
    found = []
    for path in log.files():
        with path.open("rb") as file:
            for number, line in enumerate(file):
                if b'"kind":"incident-plan.reviewed"' in line:
                    try:
                        record = parse(line)
                        found.append(Review(record.at, str(record.payload["by"]["name"]), str(record.payload["sha256"])))
                    except (KeyError, TypeError, ValueError) as error:
                        log.doubt(path, number, error)
    return max(found, key=lambda one: one.at, default=None)


def review_due(plan: Plan, last: Review | None, now: dt.datetime) -> dt.datetime | None:
    """Since when a review is due, or when the next one is; None where the plan demands none."""
    rules = plan.document.incidents
    if rules is None or rules.review is None:
        return None
    return now if last is None else rules.review.next_after(last.at, plan.zone)


# ------------------------------------------------------------ the chapters


def _severities(plan: Plan, policy: Policy) -> Iterable[Block]:
    rows = [("severity", "means", "tiers", "people outside are told")]
    for level in LEVELS:
        tiers = ", ".join(tier for tier, rank in policy.ranks.items() if rank == level and tier in plan.document.tiers)
        every = policy.rule(level).update
        rows.append(
            (
                f"{level} (SEV{level[1]})",
                policy.meaning(level),
                tiers or "-",
                f"every {format_duration(every)}" if every else "at each change",
            )
        )
    return [_heading("How severe it is"), Block("table", tuple(rows))]


def _first_minutes() -> Iterable[Block]:
    steps = (
        "Declare it. Too early is right: holdfast incident declare TITLE --system SYSTEM",
        "Whoever answers acknowledges, and is in command: holdfast incident ack ID",
        "Stop what makes it worse. Keep what is damaged: never restore over it.",
        "Follow the runbook of the system, inside the incident: holdfast runbook run NAME --incident ID",
        "Say where it stands, inside and outside: holdfast incident update ID TEXT",
        "Mitigate, resolve, and write down what was learnt: holdfast incident mitigate, resolve, postmortem, close",
    )
    return [_heading("The first minutes"), Block("list", tuple((step,) for step in steps))]


def _roles(policy: Policy) -> Iterable[Block]:
    known = dict(ROLES)
    names = [*known, *(role for role in policy.said.roles if role not in known)]
    rows = [("role", "does", "who, from the beginning")]
    rows += [(role, known.get(role, "-"), policy.said.roles.get(role, "whom the commander asks")) for role in names]
    return [_heading("Roles and responsibilities"), Block("table", tuple(rows))]


def _contacts(plan: Plan) -> Iterable[Block]:
    rows = [("name", "who", "phone", "mail", "channels", "answers for")]
    for name, person in plan.document.people.items():
        owned = ", ".join(system for system in plan.systems if plan.effective(system).spec.owner == name) or "-"
        rows.append(
            (name, person.name, ", ".join(person.phone) or "-", ", ".join(person.email) or "-", ", ".join(person.channels) or "-", owned)
        )
    if len(rows) == 1:
        return [_heading("Contacts"), _text("The plan names nobody: add people:, and owner: to each system.")]
    return [_heading("Contacts"), Block("table", tuple(rows))]


def _escalation(plan: Plan, policy: Policy) -> Iterable[Block]:
    rows = [("system", "asked at once", "then, while nobody acknowledges", "in the end")]
    for system in plan.systems:
        first = policy.answerable([system])
        steps = policy.steps(first)
        then = "; ".join(f"after {format_duration(step.after)} {', '.join(step.to)}" for step in steps if not step.last) or "-"
        rows.append((system, ", ".join(first) or "nobody", then, f"after {format_duration(steps[-1].after)} everybody"))
    silent = [level for level in LEVELS if not policy.rule(level).escalate]
    text = f"No escalation at {', '.join(silent)}." if silent else "The same at every severity."
    return [
        _heading("Escalation"),
        _text(f"{text} 'holdfast due --run' drives it; messages that a channel does not take wait and are shown."),
        Block("table", tuple(rows)),
    ]


def _communication(policy: Policy) -> Iterable[Block]:
    lines = [
        f"Of every incident hear: {', '.join(policy.said.tell) or 'only those who are asked'}.",
        "Everybody who was told of it hears when it is acknowledged, changes its severity, is mitigated, resolved or opened again.",
        "A drill is marked as one in every message.",
        "To people outside nothing is said that names a system, a host, an address or a person.",
        "Where mail and chat are down: by phone, from the list above; notes are written down later with their time.",
    ]
    return [_heading("Communication"), Block("list", tuple((line,) for line in lines))]


def _strategies(plan: Plan, runbooks: Sequence[tuple[str, Sequence[str]]]) -> Iterable[Block]:
    rows = [("system", "tier", "back within", "bearable", "at most lost", "how it comes back", "runbooks")]
    for name in plan.systems:
        system = plan.effective(name)
        mine = ", ".join(book for book, systems in runbooks if name in systems) or "NONE"
        rows.append((name, system.tier or "-", _maybe(system.rto), _maybe(system.mtd), _rpo(system), _strategy(system), mine))
    return [_heading("Recovery strategies"), Block("table", tuple(rows))]


def _strategy(system: EffectiveSystem) -> str:
    if not system.available:
        return "not protected by this version"
    source = "newest point and its log, to any moment" if system.continuous else "newest point"
    more = f"; points {system.backup}" if system.backup else ""
    return f"holdfast restore {system.name} --into NEW_TARGET; {source}{more}; proved by holdfast verify"


def _places(plan: Plan) -> Iterable[Block]:
    rows = [("location", "where", "fails with", "locked")]
    for place in plan.document.vault.locations:
        lock = f"{place.lock.mode}, {place.lock.days} days" if place.lock else "no"
        rows.append((place.name, place.url, place.failure_domain or "-", lock))
    text = (
        "With one of these and the vault's key everything comes back on an empty machine: holdfast vault open URL."
        " The key is not in this document."
    )
    return [_heading("Where the backups are"), _text(text), Block("table", tuple(rows))]


def _after(policy: Policy) -> Iterable[Block]:
    lines = [
        f"The post-mortem is finished {format_duration(policy.said.postmortem)} after the resolution; without it nothing is closed.",
        "It looks for conditions, not for culprits. Each action item has an owner and a date, and stays open until there is evidence.",
        f"This plan is reviewed: {policy.said.review or 'no date was set'}. holdfast incident plan --reviewed",
    ]
    return [_heading("Afterwards"), Block("list", tuple((line,) for line in lines))]


def _rpo(system: EffectiveSystem) -> str:
    return ", ".join(f"{format_duration(span)} ({place})" for place, span in system.rpo.items()) or "-"


def _maybe(span: dt.timedelta | None) -> str:
    return "-" if span is None else format_duration(span)


def _heading(text: str) -> Block:
    return Block("heading", ((text,),))


def _text(text: str) -> Block:
    return Block("text", ((text,),))


def _markdown(block: Block) -> str:
    text = block.rows[0][0]
    match block.kind:
        case "title":
            return f"# {text}\n"
        case "heading":
            return f"## {text}\n"
        case "list":
            return "".join(f"{number}. {row[0]}\n" for number, row in enumerate(block.rows, 1))
        case "table":
            lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in block.rows]
            lines.insert(1, "|" + "---|" * len(block.rows[0]))
            return "\n".join(lines) + "\n"
    return f"{text}\n"


def _html(block: Block) -> str:
    rows = [[escaping.escape(cell) for cell in row] for row in block.rows]
    match block.kind:
        case "title":
            return f"<h1>{rows[0][0]}</h1>"
        case "heading":
            return f"<h2>{rows[0][0]}</h2>"
        case "list":
            return "<ol>" + "".join(f"<li>{row[0]}</li>" for row in rows) + "</ol>"
        case "table":
            head = "".join(f"<th>{cell}</th>" for cell in rows[0])
            body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows[1:])
            return f"<table><tr>{head}</tr>{body}</table>"
    return f"<p>{rows[0][0]}</p>"
