"""Where tablespaces go in a delta restore: along the links that are there, but never into the source's own."""

from holdfast.systems.postgres.restore.errors import SourcePath
from holdfast.systems.postgres.restore.planning.ground import place_tablespaces
from holdfast.systems.postgres.restore.planning.options import Options

DELTA = Options(delta=True)


def cluster(folder, space):
    (folder / "pg_tblspc").mkdir(parents=True)
    (folder / "pg_tblspc" / "16384").symlink_to(space)
    return folder


def known(space):
    return [{"oid": 16384, "name": "wide", "path": str(space)}]


def test_a_repaired_source_keeps_its_tablespaces(tmp_path):
    home = cluster(tmp_path / "home", tmp_path / "space")
    [placed], refused = place_tablespaces(known(tmp_path / "space"), home, DELTA, str(home))
    assert (placed.into, refused) == (tmp_path / "space", [])


def test_a_copy_by_hand_would_write_into_the_sources_tablespace_and_is_refused(tmp_path):
    copy = cluster(tmp_path / "copy", tmp_path / "space")
    _, [refused] = place_tablespaces(known(tmp_path / "space"), copy, DELTA, str(tmp_path / "home"))
    assert refused.code == SourcePath.code
    assert "wide" in refused.message
    assert "--tablespace-map" in refused.hint
    mapped = Options(delta=True, tablespace_map={"wide": str(tmp_path / "other")})
    [placed], refused = place_tablespaces(known(tmp_path / "space"), copy, mapped, str(tmp_path / "home"))
    assert (placed.into, refused) == (tmp_path / "other", [])


def test_a_restored_copy_is_repaired_where_its_links_lead(tmp_path):
    (tmp_path / "copy.tablespaces" / "16384").mkdir(parents=True)
    copy = cluster(tmp_path / "copy", "../../copy.tablespaces/16384")
    [placed], refused = place_tablespaces(known(tmp_path / "space"), copy, DELTA, str(tmp_path / "home"))
    assert (placed.into, refused) == (tmp_path / "copy.tablespaces" / "16384", [])
