"""What the plan says of a PostgreSQL system reaches those who act on it."""

from holdfast.assembly import Platform
from holdfast.plan import load
from holdfast.systems.postgres.link import connection

TEXT = """
platform: test
vault:
  key: {env: KEY}
  locations: [{name: onsite, url: "file:///v"}]
systems:
  db:
    kind: postgres
    dsn: "host=db.example user=holdfast"
    backup: daily
    keep: {daily: 7}
    %s
"""


def settings(folder, *lines: str):
    path = folder / "holdfast.yaml"
    path.write_text(TEXT % "\n    ".join(lines))
    platform = Platform(load(path), environ={"HOLDFAST_STATE": str(folder / "state"), "DSN": "host=db.example sslmode=require"})
    return platform, platform.postgres_settings(platform.plan.effective("db"))


def test_certificates_go_into_every_connection(tmp_path) -> None:
    _, found = settings(tmp_path, "tls: {ca: ca.pem, cert: c.pem, key: c.key}")
    words = connection.parse(found.dsns[0])
    assert words["sslrootcert"] == str(tmp_path / "ca.pem")
    assert words["sslmode"] == "verify-full"
    assert (words["sslcert"], words["sslkey"]) == (str(tmp_path / "c.pem"), str(tmp_path / "c.key"))
    assert found.tls_ca == tmp_path / "ca.pem"


def test_what_the_connection_string_says_of_tls_wins(tmp_path) -> None:
    path = tmp_path / "ca.pem"
    found = connection.secured("host=x sslmode=require", {"ca": path})
    assert connection.parse(found) == {"host": "x", "sslmode": "require", "sslrootcert": str(path)}
    assert connection.secured("host=x", {}) == "host=x"


def test_checkpoint_synchronous_and_the_followers_name(tmp_path) -> None:
    _, plain = settings(tmp_path)
    assert (plain.fast, plain.synchronous, plain.follower_slot) == (True, False, "holdfast_db")
    _, chosen = settings(tmp_path, "checkpoint: spread", "synchronous: true", "slot: mine")
    assert (chosen.fast, chosen.synchronous, chosen.follower_slot) == (False, True, "mine")


def test_programs_of_the_plan_are_looked_at_first(tmp_path) -> None:
    folder = tmp_path / "pg" / "bin"
    folder.mkdir(parents=True)
    (folder / "pg_dump").touch()
    platform, found = settings(tmp_path, "binaries: pg/bin")
    assert found.pg_dump == str(folder / "pg_dump")
    assert platform.recovery("db").bin == str(folder)


def test_without_them_those_that_the_environment_names(tmp_path) -> None:
    platform, _ = settings(tmp_path)
    assert platform.recovery("db").bin is None
    named = Platform(platform.plan, environ={"HOLDFAST_STATE": str(tmp_path / "state"), "HOLDFAST_PG_BIN": "/opt/pg/bin"})
    assert named.recovery("db").bin == "/opt/pg/bin"
