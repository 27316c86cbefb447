"""How long committed WAL was without a safe copy, moment by moment."""

import threading
import time
from bisect import bisect_right

from bench.shippers import Shipper
from tests.servers import PostgresServer

INTERVAL = 0.025
MEMORY_EVERY = 20
"""Samples between two looks at the shipper's memory: looking costs CPU, and only Holdfast's processes are looked at."""


class Exposure(threading.Thread):
    """Looks every 25 ms at where the server is and at what is shipped."""

    def __init__(self, server: PostgresServer, shipper: Shipper) -> None:
        super().__init__(daemon=True)
        self.server = server
        self.shipper = shipper
        self.samples: list[tuple[float, int, int]] = []
        self.memory = 0
        self._end = threading.Event()

    def run(self) -> None:
        query = f"select (pg_current_wal_flush_lsn() - '0/0')::bigint, ({self.shipper.shipped})"
        with self.server.connect() as connection:
            while not self._end.wait(INTERVAL):
                # Asked of the server first and timed after: the figure can only be too large.
                row = connection.execute(query).fetchone()
                assert row is not None
                self.samples.append((time.monotonic(), row[0], row[1] or 0))
                if len(self.samples) % MEMORY_EVERY == 1:
                    self.memory = max(self.memory, self.shipper.memory())

    def stop(self) -> None:
        self._end.set()
        self.join()

    def seconds(self) -> list[float]:
        """For each sample the age of the oldest WAL that was not shipped then; 0 when all was."""
        ends = [end for _, end, _ in self.samples]
        found = []
        for at, end, shipped in self.samples:
            if shipped >= end:
                found.append(0.0)
                continue
            # The first moment at which the server was seen beyond what is shipped now.
            found.append(at - self.samples[bisect_right(ends, shipped)][0])
        return sorted(found)
