"""Whether an LSN target will be noticed by recovery: against pg_waldump's list of where records begin."""

import os
import re
import subprocess

import pytest

from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.restore.behind import record_begins
from holdfast.systems.postgres.restore.planning.history import Base
from holdfast.systems.postgres.restore.planning.reach import Reach
from holdfast.systems.postgres.restore.planning.timelines import Line, Piece
from tests.postgres.wal.wal_sample import make_wal, pg_wal
from tests.servers import PostgresServer, need

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    """(folder with WAL, its records as (start, end), where the folder's WAL begins)."""
    with need():
        server = PostgresServer.create(15, settings={"max_prepared_transactions": "10", "wal_keep_size": "512MB"})
    with server:
        make_wal(server)
        begin, data = pg_wal(server)
        folder = tmp_path_factory.mktemp("wal")
        for at in range(0, len(data), lsn.SEGMENT):
            (folder / lsn.segment_name(1, begin + at)).write_bytes(data[at : at + lsn.SEGMENT])
        end = begin + len(data)
        told = subprocess.run(
            [server.bin / "pg_waldump", "-p", folder, "-s", lsn.show(begin), "-e", lsn.show(end)],
            capture_output=True,
            text=True,
            env={**os.environ, "TZ": "UTC"},
            check=False,
        ).stdout
    starts = [lsn.parse(found) for found in re.findall(r"lsn: (\S+), prev", told)]
    return folder, starts, begin, end


def asked(sample, position, end):
    folder, _, begin, _ = sample
    base = Base("p", "1-1-x", 1, begin, begin, *[None] * 3)
    path = Line("1-1-x", 1, (Piece("1-1-x", 1, 0, None),))
    return record_begins(folder, Reach(base, path, "lsn", end, position), position, lsn.SEGMENT)


def test_no_record_begins_behind_the_last_one(sample):
    _, starts, _, end = sample
    assert len(starts) > 1000
    last = starts[-1]
    assert asked(sample, last, end)
    assert asked(sample, last - 8, end), "in the record before"
    for position in (last + 1, last + 8, end - 8, end - 1):
        assert not asked(sample, position, end), lsn.show(position)


def test_wherever_the_log_ends(sample):
    """Every record in turn is the last whole one: its beginning is noticed, its end is not."""
    _, starts, begin, _ = sample
    # A page's header, a record over several pages, a switched segment, the first record of a segment are all among them.
    some = [*range(1, len(starts) - 1, 389), *(n for n in range(1, len(starts) - 1) if starts[n] % lsn.SEGMENT < 8192)]
    switched = [n for n in range(len(starts) - 1) if starts[n + 1] - starts[n] > 1 << 20]
    assert switched
    for n in [*some, *switched]:
        start, following = starts[n], starts[n + 1]
        if start < begin + 8192:
            continue
        assert asked(sample, start, following), lsn.show(start)
        assert asked(sample, start - 1, following), lsn.show(start)
        assert not asked(sample, start + 8, following), lsn.show(start)
        assert not asked(sample, following, following + 16), "a record of which only the beginning is there"
