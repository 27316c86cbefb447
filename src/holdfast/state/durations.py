"""How long things took, so that the next one can be estimated."""

import statistics
from dataclasses import dataclass

from holdfast.state.contract import AnyDatabase
from holdfast.state.times import to_text

SAMPLE = 20


@dataclass(frozen=True, slots=True)
class Estimate:
    """``seconds``: median; ``worst``: the longest of the sample; ``samples``: how many it rests on."""

    seconds: float
    worst: float
    samples: int


class Durations:
    """Rows of the table ``durations``."""

    def __init__(self, database: AnyDatabase) -> None:
        self._db = database

    def add(self, system: str, verb: str, seconds: float, size: int | None = None) -> None:
        """``size`` in bytes where the work has one."""
        with self._db.writing() as db:
            db.execute(
                "insert into durations (system, verb, at, seconds, bytes) values (?, ?, ?, ?, ?)",
                (system, verb, to_text(self._db.clock.now()), seconds, size),
            )

    def estimate(self, system: str, verb: str, size: int | None = None) -> Estimate | None:
        """From the last 20 of the kind; scaled by bytes where ``size`` and the measured sizes are known. None when there is none."""
        with self._db.reading() as db:
            rows = db.execute(
                "select seconds, bytes from durations where system = ? and verb = ? order by at desc, id desc limit ?",
                (system, verb, SAMPLE),
            ).fetchall()
        times = [row["seconds"] * (size / row["bytes"]) if size and row["bytes"] else row["seconds"] for row in rows]
        return Estimate(statistics.median(times), max(times), len(times)) if times else None
