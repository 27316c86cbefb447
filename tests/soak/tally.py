"""What a soak did: counted when it happened, not when it was meant to."""

from collections import Counter
from dataclasses import dataclass, field

KINDS = (
    "kills of the server",
    "kills of the follower",
    "kills of a backup",
    "backups that lost their server or follower",
    "backups",
    "promotions",
    "losses of everything but the vault",
)
TARGETS = ("lsn", "time", "xid", "latest")


@dataclass
class Tally:
    """``done`` counts by kind, ``restores`` by (timeline, kind of target), ``rows`` those compared with the ledger."""

    done: Counter[str] = field(default_factory=Counter)
    restores: Counter[tuple[int, str]] = field(default_factory=Counter)
    rows: int = 0

    def count(self, kind: str) -> None:
        if kind not in KINDS:
            raise ValueError(kind)
        self.done[kind] += 1

    def restored(self, timeline: int, target: str, rows: int) -> None:
        self.restores[timeline, target] += 1
        self.rows += rows

    def never(self) -> list[str]:
        """What did not happen once: a soak that lacks it proved less than it says."""
        targets = {target for _, target in self.restores}
        timelines = {timeline for timeline, _ in self.restores}
        lacking = [kind for kind in KINDS if not self.done[kind]] + [f"restores to {one}" for one in TARGETS if one not in targets]
        return lacking + (["restores on a second timeline"] if len(timelines) < 2 else []) + ([] if self.rows else ["rows compared"])

    def show(self) -> str:
        lines = [f"{self.done[kind]:>9,} {kind}" for kind in KINDS]
        by_target = ", ".join(f"{sum(n for (_, one), n in self.restores.items() if one == target)} to {target}" for target in TARGETS)
        by_line = ", ".join(
            f"{sum(n for (one, _), n in self.restores.items() if one == line)} on timeline {line}"
            for line in sorted({line for line, _ in self.restores})
        )
        return "\n".join(
            [*lines, f"{self.restores.total():>9,} restores: {by_target}; {by_line}", f"{self.rows:>9,} rows compared with the ledger"]
        )
