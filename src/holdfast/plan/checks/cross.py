"""What must fit together across the plan: names that refer to each other, promises that the schedule can keep."""

from collections.abc import Iterable, Iterator

from holdfast.plan.checks import promises, stores
from holdfast.plan.errors import Problem, did_you_mean
from holdfast.plan.shape.document import Document
from holdfast.plan.shape.promise import Promise
from holdfast.plan.source.tree import Mapping, Path, dotted, locate
from holdfast.plan.values.units import format_duration


class Report:
    """Gathers problems; ``at`` is a path into the tree, shown at its key or value."""

    def __init__(self, tree: Mapping, document: Document) -> None:
        self.tree = tree
        self.document = document
        self.problems: list[Problem] = []

    def error(self, at: Path, message: str, hint: str = "") -> None:
        self._add(at, message, hint, warning=False)

    def warn(self, at: Path, message: str, hint: str = "") -> None:
        self._add(at, message, hint, warning=True)

    def unknown(self, at: Path, what: str, name: str, known: Iterable[str], *, warning: bool = False) -> None:
        self._add(at, f"{dotted(at)} names the {what} '{name}', which is not defined", did_you_mean(name, known), warning=warning)

    def _add(self, at: Path, message: str, hint: str, *, warning: bool) -> None:
        _, _, mark, _ = locate(self.tree, at)
        self.problems.append(Problem(mark, dotted(at), message, hint, "warning" if warning else "error"))


def cross_check(tree: Mapping, document: Document) -> list[Problem]:
    """Errors and warnings of a document whose shape is right."""
    report = Report(tree, document)
    _vault(report)
    for name, tier in document.tiers.items():
        _references(report, ("tiers", name), tier)
    for name in document.systems:
        _system(report, name)
    promises.check(report)
    stores.check(report)
    _flows(report)
    _surroundings(report)
    return sorted(set(report.problems), key=lambda problem: problem.mark)


def _vault(report: Report) -> None:
    seen: dict[str, str] = {}
    urls: dict[str, str] = {}
    for index, location in enumerate(report.document.vault.locations):
        at: Path = ("vault", "locations", index)
        if location.name in seen:
            report.error((*at, "name"), f"two locations are named '{location.name}'", "give each its own name")
        if location.url.rstrip("/") in urls:
            report.error(
                (*at, "url"),
                f"'{location.name}' and '{urls[location.url.rstrip('/')]}' are the same place",
                "two copies in one place are one copy",
            )
        seen[location.name] = location.url
        urls[location.url.rstrip("/")] = location.name
        credentials = location.credentials
        if credentials and (credentials.access_key_id is None) != (credentials.secret_access_key is None):
            report.error((*at, "credentials"), "access_key_id and secret_access_key belong together", "give both, or a profile")
        if location.lock and not location.url.startswith("s3:"):
            report.error((*at, "lock"), f"location '{location.name}' cannot lock objects", "object lock works on s3:// locations")


def _references(report: Report, at: Path, promise: Promise) -> None:
    names = [location.name for location in report.document.vault.locations]
    for index, name in enumerate(promise.locations or ()):
        if name not in names:
            report.unknown((*at, "locations", index), "location", name, names)
    for name in promise.rpo or {}:
        if name != "*" and name not in names:
            report.unknown((*at, "rpo", name), "location", name, names)
    if promise.keep is not None and promise.keep.empty:
        report.error((*at, "keep"), f"{dotted(at)}.keep keeps nothing", "say what stays: {daily: 7, weekly: 4}")


def _system(report: Report, name: str) -> None:
    document, spec, at = report.document, report.document.systems[name], ("systems", name)
    if spec.missing():
        report.error(
            at, f"system '{name}' cannot be reached: {spec.missing()} is missing", f"add {spec.missing()}, here or in defaults.{spec.kind}"
        )
    if spec.tier and spec.tier not in document.tiers:
        report.unknown((*at, "tier"), "tier", spec.tier, document.tiers)
    if spec.scope and spec.scope not in document.vault.scopes:
        report.unknown((*at, "scope"), "scope", spec.scope, document.vault.scopes)
    if spec.owner and document.people and spec.owner not in document.people:
        report.unknown((*at, "owner"), "person", spec.owner, document.people, warning=True)
    if spec.continuous and not type(spec).continuous_possible:
        report.error((*at, "continuous"), f"a system of kind {spec.kind} has no log to follow", "take backups more often instead")
    _references(report, at, spec)
    names = [check.name for check in spec.checks]
    for index, check in enumerate(names):
        if check in names[:index]:
            report.error(
                (*at, "checks", index, "name"),
                f"two checks of '{name}' are named '{check}'",
                "give each its own name: evidence refers to it",
            )
    _by_kind(report, name)


def _by_kind(report: Report, name: str) -> None:
    document, spec, at = report.document, report.document.systems[name], ("systems", name)
    standby = getattr(spec, "standby", None)
    if standby is not None and standby.failure_domain and standby.failure_domain == spec.failure_domain:
        where = (*at, "standby", "failure_domain")
        report.warn(
            where,
            f"the standby of '{name}' is in its primary's failure domain, {spec.failure_domain}",
            "what takes one takes both: move it",
        )
    backlog = getattr(spec, "wal_backlog", None)
    if backlog is not None and backlog.warn is not None and backlog.limit is not None and backlog.warn > backlog.limit:
        report.error((*at, "wal_backlog", "warn"), f"wal_backlog of '{name}' warns only past its limit", "write a warning below the limit")
    metastore = getattr(spec, "metastore", None)
    if metastore is not None:
        if metastore not in document.systems:
            report.unknown(
                (*at, "metastore"), "system", metastore, [key for key, other in document.systems.items() if other.kind == "postgres"]
            )
        elif document.systems[metastore].kind != "postgres":
            kind = document.systems[metastore].kind
            report.error((*at, "metastore"), f"the metastore of '{name}' is a system of kind {kind}", "name a postgres system")


def _flows(report: Report) -> None:
    document = report.document
    feeds: dict[str, set[str]] = {}
    for index, flow in enumerate(document.flows):
        ends = []
        for key, end in (("from", flow.source), ("to", flow.to)):
            system = end.partition("/")[0]
            ends.append(system)
            if system not in document.systems:
                report.unknown(("flows", index, key), "system", system, document.systems)
        feeds.setdefault(ends[0], set()).add(ends[1])
        if ends[0] != ends[1] and _reaches(feeds, ends[1], ends[0]):
            report.warn(("flows", index), f"the flows go round in a circle through '{ends[0]}'", "recovery cannot order them; take one out")


def _reaches(feeds: dict[str, set[str]], start: str, goal: str) -> bool:
    seen, ahead = set(), [start]
    while ahead:
        here = ahead.pop()
        if here == goal:
            return True
        if here not in seen:
            seen.add(here)
            ahead += feeds.get(here, ())
    return False


def _surroundings(report: Report) -> None:
    document = report.document
    for name, person in document.people.items():
        for index, channel in enumerate(person.channels):
            if channel not in document.channels:
                report.unknown(("people", name, "channels", index), "channel", channel, document.channels)
        for after, next_one in person.escalate_after.items():
            if next_one not in document.people:
                report.unknown(
                    ("people", name, "escalate_after", format_duration(after)), "person", next_one, document.people, warning=True
                )
    _incidents(report)
    for name in document.drills.marks:
        if name not in document.systems:
            report.unknown(("drills", "marks", name), "system", name, document.systems)
        elif document.systems[name].kind not in ("bucket", "delta"):
            report.error(("drills", "marks", name), f"marks of {name} have a place of their own", "marks: is for buckets and Delta tables")
    for section, known in _priced(document):
        for name in getattr(document.prices, section):
            if name not in known:
                report.unknown(("prices", section, name), "location" if section == "storage" else "tier", name, known)
    if document.quiesce.airflow and not any(spec.kind == "airflow" for spec in document.systems.values()):
        report.warn(
            ("quiesce", "airflow"), "quiesce pauses Airflow, and no system is of kind airflow", "add the system, or take the pause out"
        )
    if not document.systems:
        report.warn((), "the plan protects nothing: it has no systems", "add one under systems:")


def _incidents(report: Report) -> None:
    document, said = report.document, report.document.incidents
    if said is None:
        return
    if said.on_call is not None and said.on_call not in document.people:
        report.unknown(("incidents", "on_call"), "person", said.on_call, document.people)
    for index, channel in enumerate(said.tell):
        if channel not in document.channels:
            report.unknown(("incidents", "tell", index), "channel", channel, document.channels)
    for tier in said.severity:
        if tier not in document.tiers:
            report.unknown(("incidents", "severity", tier), "tier", tier, document.tiers)
    for role, person in said.roles.items():
        if person not in document.people:
            report.unknown(("incidents", "roles", role), "person", person, document.people)
    owners = {name: spec.owner for name, spec in document.systems.items() if spec.owner in document.people}
    asked = [owner for owner in dict.fromkeys((*owners.values(), said.on_call)) if owner in document.people and owner is not None]
    mail = any(channel.kind == "email" for channel in document.channels.values())
    for name in asked:  # grows on the way: who is asked next is asked, too
        asked += [one for one in document.people[name].escalate_after.values() if one in document.people and one not in asked]
        if not document.people[name].channels and not (mail and document.people[name].email):
            report.warn(("people", name), f"'{name}' is asked to answer for incidents, and no channel reaches them", "add channels: [NAME]")
    alone = [name for name in document.systems if name not in owners]
    if alone and said.on_call is None:
        hint = "name an owner for each, or on_call: under incidents:"
        report.warn(("incidents",), f"about {', '.join(alone)} nobody is asked first: everybody is told at once", hint)


def _priced(document: Document) -> Iterator[tuple[str, list[str]]]:
    if document.prices:
        yield "storage", [location.name for location in document.vault.locations]
        yield "downtime_per_hour", list(document.tiers)
