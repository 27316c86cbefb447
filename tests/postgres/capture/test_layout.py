"""What file names in a data directory mean."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.systems.postgres import layout
from holdfast.systems.postgres.layout import Relation


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("base/5/1259", Relation(1663, 5, 1259, "main", 0)),
        ("base/5/1259_fsm", Relation(1663, 5, 1259, "fsm", 0)),
        ("base/16384/20000_vm.3", Relation(1663, 16384, 20000, "vm", 3)),
        ("global/1262", Relation(1664, 0, 1262, "main", 0)),
        ("pg_tblspc/20001/PG_15_202209061/5/16390_init", Relation(20001, 5, 16390, "init", 0)),
        ("pg_tblspc/20001/PG_18_202506291/5/16390.12", Relation(20001, 5, 16390, "main", 12)),
    ],
)
def test_a_relation_file_is_known_by_its_path(path, expected):
    assert layout.relation(path) == expected


@pytest.mark.parametrize(
    "path",
    [
        "base/5/pg_filenode.map",
        "base/5/PG_VERSION",
        "base/5/t3_16384",
        "base/5/t3_16384_fsm.1",
        "base/5/16384.0",
        "base/5/016384",
        "base/5/16384_main",
        "base/5/16384_vm_fsm",
        "base/5/16384~",
        "base/16384",
        "global/pg_control",
        "pg_xact/0000",
        "pg_multixact/members/0000",
        "base/pgsql_tmp/1",
        "x/base/5/16384",
    ],
)
def test_other_files_are_not_taken_for_relations(path):
    assert layout.relation(path) is None


def test_temporary_and_unlogged_relations_stay_behind_but_for_the_init_fork():
    names = [
        "100",
        "100_fsm",
        "100.1",
        "101",
        "101_init",
        "101_vm",
        "101.2",
        "1010",
        "t4_200",
        "t4_200_fsm",
        "t5_101_init",
        "pg_filenode.map",
    ]
    assert layout.unkept(names) == {"101", "101_vm", "101.2", "t4_200", "t4_200_fsm", "t5_101_init"}


@given(st.lists(st.from_regex(r"(t\d_)?[1-9]\d{0,2}(_(fsm|vm|init))?(\.[1-9])?", fullmatch=True), unique=True))
def test_no_init_fork_and_no_logged_relation_is_ever_left_out(names):
    gone = layout.unkept(names)
    unlogged = {name.split("_")[0] for name in names if not name.startswith("t") and "_init" in name}
    for name in names:
        node = name.split("_")[0].split(".")[0]
        expected = name.startswith("t") or (node in unlogged and "_init" not in name)
        assert (name in gone) == expected, name


def test_what_is_left_out_at_the_top_is_kept_elsewhere():
    assert layout.left_out("", "postmaster.pid")
    assert layout.left_out("", "backup_label")
    assert layout.left_out("base", "pgsql_tmp")
    assert layout.left_out("global", "pg_internal.init.1234")
    assert not layout.left_out("base/5", "backup_label")
    assert not layout.left_out("", "postgresql.auto.conf")
    assert not layout.left_out("base/5", "pg_internal.initial")


def test_block_numbers_count_over_segments():
    assert Relation(1, 1, 1, "main", 3).first_block(131072) == 393216
