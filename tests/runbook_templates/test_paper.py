"""Only the printed page and the vault's recovery key are left: the database comes back by hand, word for word, on an empty machine."""

import re
import shutil
import subprocess

import psycopg
import pytest

from holdfast.runbooks.format.compile import examine
from holdfast.runbooks.format.lint import template as sections
from holdfast.runbooks.format.shipped import Known, from_template, shipped
from tests.cli.running import answer, holdfast
from tests.from_nothing.bare import clean, with_holdfast
from tests.runbook_templates import reader
from tests.runbook_templates.database import Database
from tests.servers import PostgresServer, need, service_account

INSTALL = "python3 -m venv /opt/holdfast\n/opt/holdfast/bin/pip install 'holdfast[postgres]'\n"


@pytest.fixture
def printed(tmp_path):
    """(the page, the scene): everything but the page, the vault and the recovery key is gone."""
    with need():
        server = PostgresServer.create(15)
    with server:
        one = Database(tmp_path / "host", server)
        try:
            one.prepare()
            one.rest()
            one.fence()
            paper = tmp_path / "page.md"
            one.follower.holdfast("runbook", "show", one.runbook, "--print", "--output", str(paper))
            shutil.move(one.folder / "vault", tmp_path / "vault")
            shutil.rmtree(one.folder)
            shutil.rmtree(server.data)
            (tmp_path / "host").mkdir()
            shutil.move(tmp_path / "vault", one.folder / "vault")
            yield paper.read_text(), one
        finally:
            one.close()
            shutil.rmtree(one.ground, ignore_errors=True)


@pytest.mark.postgres
@pytest.mark.timeout(900)
def test_the_database_comes_back_by_the_printed_page_alone(printed, tmp_path):
    page, one = printed
    with_holdfast(tmp_path / "venv")
    assert INSTALL in page
    # The place is the test's own, and no network is there: the program lies where the page would have put it.
    page = page.replace(INSTALL, "").replace("/opt/holdfast", str(tmp_path / "venv"))
    # The reader has no machine with the plan: the first block is not for them.
    at_home = f"On a machine that has Holdfast and the plan:\n\n```sh\ncd {one.folder}\n```\n"
    assert at_home in page
    page = page.replace(at_home, "")
    blanks = {"HOLDFAST_KEY": one.recovery_key, "PARAM_TICKET": "INC-9", "PARAM_TARGET": str(one.target)}
    changed = {"PARAM_TO": one.good, "PARAM_PORT": str(one.port), "PARAM_ACCOUNT": service_account().name}
    # What people are asked to do with other means than this shell.
    dsn = f"host={one.server.folder} port={one.port} user=postgres dbname=postgres"
    deeds = {"protection": f"echo '{dsn}' > database.dsn; chmod 600 database.dsn"}
    machine = tmp_path / "machine"
    machine.mkdir()
    text = reader.script(page, blanks, changed, deeds)
    # Only what the page prints is typed.
    for step in reader.steps(page):
        assert step.block in page
    done = subprocess.run(
        ["bash", "-c", text],
        cwd=machine,
        env={**clean(tmp_path / "empty-home"), "HOLDFAST_SANDBOX": str(one.ground / "boxes")},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert "--- the end" in done.stdout
    assert "Traceback" not in done.stdout
    with psycopg.connect(dsn, autocommit=True) as db:
        found = {number: int(twice) for number, twice in db.execute("select id, amount * 2 from orders").fetchall()}
        assert db.execute("select current_setting('data_directory')").fetchone() == (str(one.target),)
    assert found == {number: number * 3 for number in {*range(1, 201), *one.before}}


PLAN = """
platform: acme
vault:
  key: {env: HOLDFAST_KEY}
  locations: [{name: away, url: "s3://acme-dr/holdfast", endpoint: "https://s3.example", failure_domain: eu}]
systems:
  orders: {kind: postgres, dsn: {env: ORDERS_DSN}, backup: daily, rpo: 1d, rto: 2h, keep: {last: 3}}
  lake:
    kind: delta
    url: "s3://acme-lake/curated"
    tables: [sales/eu]
    backup: daily
    rpo: 1d
    keep: {last: 3}
    checks: [{name: no debts, sql: "select count(*) from \\"sales/eu\\" where amount < 0", expect: 0}]
"""


@pytest.mark.parametrize(("template", "system"), [("critical-database-restoration", "orders"), ("delta-table-restoration", "lake")])
def test_every_blank_of_a_printed_page_is_explained(tmp_path, template, system):
    """No line of the head is left to the reader without saying what belongs there; no step uses what nobody wrote down."""
    (tmp_path / "holdfast.yaml").write_text(PLAN)
    assert holdfast(tmp_path, "runbook", "new", "r", "--template", template, "--system", system).returncode == 0
    linted = holdfast(tmp_path, "runbook", "lint", "r")
    assert "1 read, 0 errors, 0 warnings" in linted.stdout, linted.stdout
    page = holdfast(tmp_path, "runbook", "show", "r", "--print").stdout
    assert "export VAULT='s3://acme-dr/holdfast'" in page
    assert "export AWS_ENDPOINT_URL='https://s3.example'" in page
    assert "pip install 'holdfast[delta,postgres,s3]'" in page
    credentials = "AWS_ACCESS_KEY_ID"
    for block in reader.head(page):
        for line in block.splitlines():
            if reader.BLANK.search(line) and credentials not in line:
                assert "   # " in line, line
    for step in reader.steps(page):
        assert step.block or step.kind in ("human", "decision", "approval"), step.id
        before = page[: page.index(f"(`{step.id}`")]
        for name in set(re.findall(r"\$\{?((?:PARAM|OUT)_\w+)", step.text)):
            assert f"export {name}=" in before + step.text, f"{step.id} uses {name}, which nobody wrote down"
    assert "@{" not in page
    assert "${" not in "\n".join(line for line in page.splitlines() if line.startswith("- "))


def test_templates_are_listed_and_a_wrong_name_is_told(tmp_path):
    listed = answer(holdfast(tmp_path, "runbook", "new", "--json"))["templates"]
    assert [one["name"] for one in listed] == [
        "airflow-metastore-recovery",
        "critical-database-restoration",
        "delta-table-restoration",
        "kafka-cluster-failover",
    ]
    wrong = holdfast(tmp_path, "runbook", "new", "x", "--template", "delta-table-restorasion")
    assert (wrong.returncode, "Did you mean 'delta-table-restoration'?" in wrong.stderr) == (2, True)


@pytest.mark.parametrize("template", shipped())
@pytest.mark.parametrize(
    "known", [Known(), Known(system="orders", owner="o'neil: data", table="a/b", check="it's: right", database="shop")]
)
def test_a_template_compiles_with_what_the_plan_knows_and_without(template, known):
    """What is not known is asked for at the start; what is known may hold any character."""
    snapshot, problems = examine(from_template(template, "r", title='Back to "normal"', known=known), "r.md")
    assert snapshot is not None, problems
    assert [str(problem) for problem in problems] == []
    assert sections(snapshot, "r.md") == [] or not known.system
    assert "@{" not in snapshot.document["source"]
