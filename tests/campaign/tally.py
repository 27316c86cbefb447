"""What a campaign did, counted when it was seen to happen, and its table."""

import textwrap
import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Tally:
    """``kills[deed, how]`` counts processes ended, ``calls`` where; ``faults[kind]`` = [planned, fired]; ``flips`` found or harmless."""

    kills: Counter[tuple[str, str]] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    faults: dict[str, list[int]] = field(default_factory=dict)
    flips: Counter[str] = field(default_factory=Counter)
    steps: int = 0
    points: int = 0
    log: int = 0
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, order: dict[str, Any], result: dict[str, Any]) -> None:
        with self.lock:
            self.points += result.get("points", 0)
            self.log += result.get("log", 0)
            if order["how"].startswith("kill"):
                self.kills[order["deed"], f"{order['how']}, {'before' if order['early'] else 'after'}"] += result.get("killed", False)
                for fired in result["fired"]:
                    call, _, name = fired.partition(" ")
                    self.calls[f"{call} {name.split('/')[0]}".strip()] += result.get("killed", False)
            else:
                counts = self.faults.setdefault(order["how"], [0, 0])
                counts[0] += 1
                counts[1] += bool(result.get("fired"))

    def killed(self) -> int:
        return self.kills.total() + sum(fired for kind, (_, fired) in self.faults.items() if kind in CUTS)

    def show(self) -> str:
        hows = ("kill, before", "kill, after", "kill below, before", "kill below, after")
        deeds = list(dict.fromkeys(deed for deed, _ in self.kills))
        died_at = ", ".join(f"{call} {count:,}" for call, count in self.calls.most_common())
        lines = [
            f"{'killed at (separate processes)':<32}{'storage call':>22}{'file system call':>24}",
            f"{'':<32}{'before':>11}{'after':>11}{'before':>13}{'after':>11}",
            *(
                f"  {deed:<30}" + "".join(f"{self.kills[deed, how]:>{width}}" for how, width in zip(hows, (11, 11, 13, 11), strict=True))
                for deed in deeds
            ),
            f"  {'all':<30}"
            + "".join(
                f"{sum(n for (_, one), n in self.kills.items() if one == how):>{width}}"
                for how, width in zip(hows, (11, 11, 13, 11), strict=True)
            ),
            *textwrap.wrap(f"at {died_at}", 118, subsequent_indent="   "),
            f"{'faults':<32}{'planned':>11}{'fired':>11}",
            *(f"  {kind:<30}{planned:>11}{fired:>11}" for kind, (planned, fired) in sorted(self.faults.items())),
        ]
        if self.flips:
            lines.append("flipped bytes: " + ", ".join(f"{count:,} {what}" for what, count in self.flips.items()))
        if self.steps:
            lines.append(f"state machine: {self.steps:,} steps")
        lines.append(
            f"processes ended by SIGKILL: {self.killed():,}; points restored and compared: {self.points:,};"
            f" bytes of logs compared: {self.log:,}; losses: {len(self.wrong)}"
        )
        return "\n".join(lines)


CUTS = ("power cut", "power cut, names kept", "torn writes")
