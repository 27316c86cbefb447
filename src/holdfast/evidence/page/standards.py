"""What auditors ask, and which part of a report answers it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Control:
    """``answered``: parts of a report, in words."""

    standard: str
    clause: str
    asks: str
    answered: str


CONTROLS = (
    Control(
        "ISO 22301:2019",
        "8.5",
        "exercises with scenarios and objectives, reports after them with results and recommendations",
        "test, objectives and criteria, results, findings",
    ),
    Control(
        "ISO 22301:2019",
        "8.6",
        "capabilities evaluated by exercises and tests, at planned intervals and after changes",
        "the period's report: due, run, failed, missed, excused",
    ),
    Control(
        "NIST SP 800-34 Rev. 1",
        "3.5",
        "plans are tested: recovery from backups on another platform, notification, coordination",
        "test, environment, backup, steps",
    ),
    Control(
        "NIST SP 800-34 Rev. 1",
        "4.4",
        "validation of data and function before a system counts as recovered",
        "checks with expected and actual, comparison with the source",
    ),
    Control(
        "NIST SP 800-84",
        "4 to 6",
        "tabletop and functional exercises and tests: objectives before, observations and an after-action report behind",
        "objectives, steps with deviations, findings with owner and due date",
    ),
    Control(
        "SOC 2 (TSC 2017)", "A1.2", "backup and recovery infrastructure that is operated and monitored", "backup, locations, locks, history"
    ),
    Control("SOC 2 (TSC 2017)", "A1.3", "recovery procedures are tested", "test, results, recovery time against the promise"),
    Control(
        "DORA (EU) 2022/2554",
        "art. 11",
        "response and recovery plans, tested at least once a year and after changes; records kept",
        "the period's report, steps, journal",
    ),
    Control(
        "DORA (EU) 2022/2554",
        "art. 12",
        "backups are restored regularly; on separate systems; recovery time and point objectives; several checks and reconciliation",
        "environment, recovery time and point, checks, reconciliation of flows",
    ),
    Control(
        "RTS (EU) 2024/1774",
        "art. 25 and 26",
        "tests of continuity plans by scenario, with backups, documented results, and findings that are dealt with",
        "scenario, results, findings with owner and retest",
    ),
)
