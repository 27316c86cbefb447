"""A database that a runbook brings back is looked at on its own server; SQL of the page goes nowhere else."""

import pytest

from holdfast.assembly.drills.surroundings import looking
from holdfast.model import SystemClock
from holdfast.runbooks.actions.contract import Call
from tests.drills.kit import Shop, failed, fill, marks
from tests.servers import PostgresServer, need

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(1800)]
LOST = """
drill: lost
title: lost
systems: db
disaster: {kind: system-lost}
criteria: [sentinel, checks, content]
runbook: {name: db-back, parameters: {target: "${into}/db", to: "${until}"}}
"""
PAGE = """---
runbook: db-back
title: The database comes back
systems: [db]
parameters:
  target: {type: path}
  to: {type: text}
---
# The database comes back

```step
id: restore
holdfast: [restore, db, --into, "${target}", --to, "${to}", --start]
outputs: {connection: result.connection}
```

```step
id: asked
sql: {dsn: "${restore.connection}", query: select count(*) from orders, dbname: %s}
expect: {"rows[0][0]": 400}
```
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    with need():
        server = PostgresServer.create(15)
    with server:
        fill(server)
        made = Shop(server, tmp_path_factory.mktemp("shop"))
        (made.folder / "runbooks").mkdir()
        (made.folder / "runbooks" / "db-back.md").write_text(PAGE % server.value("select current_database()"))
        yield made


def test_it_comes_back_by_the_page(shop):
    done = shop.drill(LOST, ("db",))
    assert (done.outcome, failed(done)) == ("ok", []), [str(one.to_json()) for one in done.checks if one.state == "failed"]
    assert {one.kind for one in done.checks if one.state == "passed"} >= {"runbook", "sentinel", "check", "compare", "isolation"}
    assert done.clocks["restore"] > 0
    assert done.clocks["replay"] > 0
    assert done.clocks["validate"] > 0
    assert marks(shop.server) is None
    assert not list((shop.boxes / "boxes").iterdir())


def test_its_sql_goes_to_what_came_back_alone(shop, tmp_path):
    look = looking(tmp_path, "", {"steps": []})
    call = Call({}, (), 60.0, SystemClock(), (), {}, tmp_path)
    spec = {"dsn": {"literal": shop.server.dsn}, "query": "delete from orders"}
    assert "did not come back in this drill" in look("sql", spec, call)
    assert "cannot be told" in look("sql", {"dsn": {"literal": "host=/nowhere"}, "query": "select 1"}, call)
    assert shop.server.value("select count(*) from orders") == 400
