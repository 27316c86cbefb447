"""What was measured, as data: one line a case and contender, medians of the rounds, and the targets they are held to."""

import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from bench.measure import Run


@dataclass
class Results:
    """``rounds[(data, case, contender)]`` holds every run; ``facts`` what is not a run (bytes stored, rates, exposure)."""

    rounds: dict[tuple[str, str, str], list[Run]] = field(default_factory=lambda: defaultdict(list))
    facts: dict[tuple[str, str, str], dict[str, float]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def add(self, data: str, case: str, contender: str, run: Run) -> None:
        self.rounds[data, case, contender].append(run)

    def fact(self, data: str, case: str, contender: str, **values: float) -> None:
        self.facts.setdefault((data, case, contender), {}).update(values)

    def median(self, data: str, case: str, contender: str, what: str = "seconds") -> float | None:
        """The median of a figure over the rounds, a fact of that name, or None where it was not measured."""
        runs = self.rounds.get((data, case, contender))
        if runs and what in ("seconds", "cpu", "anonymous"):
            return statistics.median(getattr(run, what) for run in runs)
        return self.facts.get((data, case, contender), {}).get(what)

    def lines(self) -> list[dict[str, Any]]:
        """JSON-ready: one entry a case and contender, with every round."""
        keys = list(dict.fromkeys([*self.rounds, *self.facts]))
        return [
            {
                "data": data,
                "case": case,
                "contender": contender,
                **{what: self.median(data, case, contender, what) for what in ("seconds", "cpu", "anonymous")},
                **self.facts.get((data, case, contender), {}),
                "rounds": [
                    {name: value for name, value in asdict(run).items() if name != "output"}
                    for run in self.rounds.get((data, case, contender), [])
                ],
            }
            for data, case, contender in keys
        ]


@dataclass(frozen=True)
class Target:
    """``holdfast`` against ``peer``: peer's figure over Holdfast's must be at least ``at_least`` (for rates the other way round).

    Peer "fastest": whichever of PEERS was measured with the lowest figure.
    """

    data: str
    case: str
    peer: str
    what: str
    at_least: float
    rate: bool = False


TARGETS = (
    Target("pgbench", "full", "pgbackrest", "seconds", 3),
    Target("pgbench", "full", "bound", "seconds", 0.8),
    Target("orders", "full", "bound", "seconds", 0.8),
    Target("orders", "full", "pgbackrest", "cpu", 1),
    Target("pgbench", "full", "pgbackrest", "stored", 1 / 1.1),
    Target("orders", "full", "pgbackrest", "stored", 1 / 1.1),
    *(
        Target(data, case, "pgbackrest", "seconds", ratio)
        for data in ("pgbench", "orders")
        for case, ratio in (("incremental 1 %", 5), ("restore", 2), ("delta restore", 2))
    ),
    *(Target(data, "incremental 1 %", "pgbackrest", "stored", 1) for data in ("pgbench", "orders")),
    *(
        Target(data, case, peer, "seconds", ratio)
        for data in ("files", "large")
        for case, peer, ratio in (
            ("first", "fastest", 3),
            ("first", "bound", 0.8),
            ("unchanged", "fastest", 1.5),
            ("restore", "fastest", 2),
            ("restore", "bound", 0.8),
        )
    ),
    Target("bucket", "first", "rclone", "seconds", 1),
    Target("bucket", "first", "bound", "seconds", 0.9),
    Target("bucket", "restore", "rclone", "seconds", 1),
    Target("bucket", "restore", "bound", "seconds", 0.9),
    *(Target(data, case, "bucket", "seconds", 0.9) for data in ("table", "table-8M") for case in ("first", "unchanged", "restore")),
    *(Target(data, case, "rclone", "seconds", 1) for data in ("table", "table-8M") for case in ("first", "restore")),
    Target("wal", "catch up", "pgbackrest", "mib_per_second", 1, rate=True),
    Target("wal", "replay", "pgbackrest", "mib_per_second", 1, rate=True),
)


FASTEST = "fastest"
PEERS = ("restic", "borg", "rustic")


def peers(results: Results, target: Target) -> float | None:
    """The best of what PEERS need."""
    found = [results.median(target.data, target.case, peer, target.what) for peer in PEERS]
    return min((one for one in found if one), default=None)


def judged(results: Results) -> list[dict[str, Any]]:
    """Each target with what was measured: ratio None where a side is missing."""
    found = []
    for target in TARGETS:
        ours = results.median(target.data, target.case, "holdfast", target.what)
        theirs = peers(results, target) if target.peer == FASTEST else results.median(target.data, target.case, target.peer, target.what)
        ratio = None
        if ours and theirs:
            ratio = ours / theirs if target.rate else theirs / ours
        found.append({**asdict(target), "ratio": ratio, "met": None if ratio is None else ratio >= target.at_least})
    found += [_limit(results, case, what, at_most) for case, what, at_most in LIMITS]
    return found


# What Holdfast is held to without a peer: (case of the WAL part, figure, at most).
LIMITS = (("under load", "exposure_median", 1.0), ("under load", "exposure_p99", 2.0), ("under load", "tps_loss", 0.05))
MEMORY = 300 << 20


def _limit(results: Results, case: str, what: str, at_most: float) -> dict[str, Any]:
    ours = results.median("wal", case, "holdfast", what)
    return {"data": "wal", "case": case, "what": what, "at_most": at_most, "value": ours, "met": None if ours is None else ours <= at_most}


def heaviest(results: Results, contender: str) -> int:
    """The highest peak of anonymous memory over every run of a contender, and of its shipping of WAL, in bytes."""
    shipping = results.median("wal", "under load", contender, "memory") or 0
    return max([int(shipping), *(run.anonymous for run in _runs(results, contender))])


def _runs(results: Results, contender: str) -> Iterable[Run]:
    return (run for (_, _, who), runs in results.rounds.items() if who == contender for run in runs)
