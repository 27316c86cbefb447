"""Whether each system's schedule, copies and windows can keep what is promised for it."""

from typing import TYPE_CHECKING

from holdfast.plan.effective import EffectiveSystem, effective
from holdfast.plan.source.tree import Mapping, Path, locate
from holdfast.plan.values.units import format_duration

if TYPE_CHECKING:
    from holdfast.plan.checks.cross import Report


def check(report: "Report") -> None:
    """Every system's sum."""
    for name in report.document.systems:
        system = effective(report.document, name)
        if system.tier and system.tier not in report.document.tiers:
            continue  # told already; the rest would follow from it
        _objectives(report, system)
        _schedule(report, system)
        _places(report, system)


def _at(report: "Report", system: EffectiveSystem, key: str) -> Path:
    """Where the key that counts for this system is written: with the system, its tier, or nowhere (then the system itself)."""
    own: Path = ("systems", system.name)
    for path in (own, ("tiers", system.tier or "")):
        found, _, _, place = locate(report.tree, path)
        if found == path and isinstance(place, Mapping) and key in place.pairs:
            return (*path, key)
    return own


def _objectives(report: "Report", system: EffectiveSystem) -> None:
    if system.rto is not None and system.mtd is not None and system.rto > system.mtd:
        report.error(
            _at(report, system, "rto"),
            f"'{system.name}' is promised back in {format_duration(system.rto)} (rto), "
            f"later than the business can bear: {format_duration(system.mtd)} (mtd)",
            "lower rto, or raise mtd",
        )
    bare = [location.name for location in system.locations if location.name not in system.rpo]
    if system.rpo and bare:
        report.error(
            _at(report, system, "rpo"),
            f"the rpo of '{system.name}' names {', '.join(system.rpo)} but not {', '.join(bare)}",
            "write a value for each location, or one value for all",
        )
    if not system.rpo:
        report.warn(("systems", system.name), f"nothing is promised for '{system.name}': it has no rpo", "add rpo: here or in its tier")


def _schedule(report: "Report", system: EffectiveSystem) -> None:
    if system.backup is None:
        report.error(("systems", system.name), f"'{system.name}' has no backup schedule", "add backup: daily, here or in its tier")
        return
    if system.keep.empty:
        report.error(
            ("systems", system.name),
            f"nothing says how long points of '{system.name}' are kept",
            "add keep: {daily: 7, weekly: 4}, here or in its tier",
        )
    rpo = system.tightest_rpo
    if rpo is None or system.continuous:
        return
    gap = system.backup.longest_gap
    if rpo < gap:
        follow = "add continuous: true, " if type(system.spec).continuous_possible else ""
        report.error(
            _at(report, system, "rpo"),
            f"'{system.name}' is promised to lose at most {format_duration(rpo)} (rpo), "
            f"but up to {format_duration(gap)} lie between two backups ({system.backup})",
            f"{follow}take backups more often, or raise rpo",
        )
        return
    windows = report.document.windows.backup
    shut = min((window.closed_for for window in windows), default=None)
    if shut is not None and len(windows) == 1 and shut > rpo:
        report.warn(
            ("windows", "backup"),
            f"'{system.name}' is promised to lose at most {format_duration(rpo)} (rpo), "
            f"but no backup may start for {format_duration(shut)} outside {windows[0]}",
            "widen the window, follow its log (continuous: true), or raise rpo",
        )


def _places(report: "Report", system: EffectiveSystem) -> None:
    count = len(system.locations)
    if system.min_copies > count:
        report.error(
            _at(report, system, "min_copies"),
            f"'{system.name}' needs {system.min_copies} copies (min_copies), but is kept in {count} location{'s' if count != 1 else ''}",
            "name more locations, or lower min_copies",
        )
    domains = {location.failure_domain for location in system.locations}
    own = system.spec.failure_domain
    if own and domains == {own}:
        report.warn(
            _at(report, system, "locations"),
            f"every copy of '{system.name}' is in its own failure domain, {own}",
            "what takes the system takes its copies: add a location elsewhere",
        )
    elif system.min_copies > 1 and count > 1 and None not in domains and len(domains) < system.min_copies:
        report.warn(
            _at(report, system, "min_copies"),
            f"the {system.min_copies} copies of '{system.name}' may all be in one failure domain, "
            f"{', '.join(sorted(str(domain) for domain in domains))}",
            "use locations in different failure domains",
        )
