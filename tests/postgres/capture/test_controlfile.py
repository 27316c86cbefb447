"""The control file of every version, and what is not believed."""

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.systems.postgres import controlfile
from holdfast.systems.postgres.faults import ControlFileBad


def test_crc32c_of_the_published_vectors():
    # RFC 3720, appendix B.4
    assert controlfile.crc32c(bytes(32)) == 0x8A9136AA
    assert controlfile.crc32c(b"\xff" * 32) == 0x62A8AB43
    assert controlfile.crc32c(bytes(range(32))) == 0x46DD794E
    assert controlfile.crc32c(b"123456789") == 0xE3069283


@pytest.mark.postgres
def test_a_real_control_file_is_read_as_the_server_reads_it(pg_any):
    found = controlfile.parse((pg_any.data / controlfile.PATH).read_bytes())
    row = dict(
        zip(
            ("id", "version", "catalog"),
            pg_any.execute("select system_identifier::text, pg_control_version, catalog_version_no from pg_control_system()")[0],
            strict=True,
        )
    )
    assert (str(found.system_identifier), found.control_version, found.catalog_version) == (row["id"], row["version"], row["catalog"])
    init = pg_any.execute(
        "select database_block_size, blocks_per_segment, wal_block_size, bytes_per_wal_segment, data_page_checksum_version"
        " from pg_control_init()"
    )[0]
    assert (found.page_size, found.segment_pages, found.wal_page_size, found.wal_segment_size, found.checksum_version) == init
    point = pg_any.execute(
        "select (redo_lsn - '0/0')::int8, (checkpoint_lsn - '0/0')::int8, timeline_id, prev_timeline_id, full_page_writes,"
        " extract(epoch from checkpoint_time)::int8 from pg_control_checkpoint()"
    )[0]
    assert (found.redo, found.checkpoint, found.timeline, found.previous_timeline, found.full_page_writes, found.checkpoint_time) == point
    for name in ("max_connections", "max_worker_processes", "max_wal_senders", "max_prepared_transactions", "max_locks_per_transaction"):
        assert getattr(found, name) == int(pg_any.value(f"show {name}")), name
    assert found.state == "in production"
    assert found.running


@pytest.mark.postgres
def test_state_follows_the_server(servers):
    server = servers(15)
    server.stop()
    found = controlfile.parse((server.data / controlfile.PATH).read_bytes())
    assert found.state == "shut down"
    assert not found.running
    shown = subprocess.run(
        [server.bin / "pg_controldata", server.data], capture_output=True, text=True, check=True, env={"LC_ALL": "C"}
    ).stdout
    assert f"Database system identifier:           {found.system_identifier}" in shown


@pytest.fixture(scope="module")
def real():
    """A control file's bytes without any server: the parts that parse needs, and a right CRC."""
    import struct

    data = bytearray(8192)
    struct.pack_into("<QIII", data, 0, 77, 1300, 202209061, 6)
    struct.pack_into("<I", data, 288, controlfile.crc32c(bytes(data[:288])))
    return bytes(data)


@given(st.integers(0, 287), st.integers(0, 7))
def test_any_flipped_bit_is_found(bit_at, bit):
    import struct

    data = bytearray(8192)
    struct.pack_into("<QIII", data, 0, 77, 1300, 202209061, 6)
    struct.pack_into("<I", data, 288, controlfile.crc32c(bytes(data[:288])))
    assert controlfile.parse(bytes(data)).system_identifier == 77
    data[bit_at] ^= 1 << bit
    with pytest.raises(ControlFileBad):
        controlfile.parse(bytes(data))


@pytest.mark.parametrize("data", [b"", b"x" * 100, bytes(8192), b"\xff" * 8192])
def test_what_is_no_control_file_is_refused(data):
    with pytest.raises(ControlFileBad) as caught:
        controlfile.parse(data)
    assert caught.value.hint


def test_a_file_caught_in_the_middle_of_a_write_is_read_again(real):
    torn = real[:100] + b"\xff" + real[101:]
    answers = iter([torn, torn, real])
    data, found = controlfile.read_steady(lambda: next(answers))
    assert (data, found.system_identifier) == (real, 77)


def test_a_file_that_stays_wrong_is_refused(real):
    reads = []

    def read():
        reads.append(1)
        return real[:-1][:100]

    with pytest.raises(ControlFileBad):
        controlfile.read_steady(read, tries=4)
    assert len(reads) == 4
