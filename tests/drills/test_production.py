"""Production offered to a drill is refused, whatever it is called by; a target is broken so that it can be mended."""

import pytest

from holdfast.assembly.drills.disasters import refuse_source
from holdfast.assembly.drills.hands import PostgresHands
from holdfast.assembly.drills.restorer import StandingCopy
from holdfast.drills.errors import DrillProduction, DrillUsage
from tests.drills.kit import Shop, failed, fill, marks
from tests.servers import PostgresServer, need

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(1800)]

CORRUPT = "drill: corrupt\ntitle: corrupt\nsystems: db\ndisaster: {kind: table-corrupted, table: orders}\ncriteria: [sentinel, content]\n"
STAGE = "  stage: {{kind: postgres, tier: t, dsn: {{env: STAGE_DSN}}}}\n"


def targets(**named) -> str:
    return "drills:\n  targets:\n" + "".join(f"    {name}: {text}\n" for name, text in named.items())


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    with need():
        servers = PostgresServer.create(15), PostgresServer.create(15)
    with servers[0], servers[1]:
        for server in servers:
            fill(server)
        folder = tmp_path_factory.mktemp("both")
        more = STAGE.replace("{{", "{").replace("}}", "}")
        shop = Shop(servers[0], folder, more, targets(stage="{system: stage}", cheat="{system: stage, dsn: {env: DB_DSN}}"))
        shop.environ["STAGE_DSN"] = servers[1].dsn
        yield shop, servers[1]


@pytest.mark.parametrize("target", ["db", "near", "far", "docs", "postgresql://db/orders", "host=/tmp dbname=x"])
def test_what_the_plan_protects_is_no_target(both, target):
    shop, _ = both
    with pytest.raises(DrillProduction):
        shop.drill(CORRUPT, target=target)
    assert shop.server.value("select count(*) from orders") == 400
    assert not shop.journal("drill.")


def test_a_targets_address_that_leads_to_production_is_refused(both):
    shop, _ = both
    with pytest.raises(DrillProduction, match="another server"):
        shop.drill(CORRUPT, ("stage",), target="cheat")
    shop.environ["STAGE_DSN"], kept = shop.server.tcp_dsn, shop.environ["STAGE_DSN"]
    try:
        with pytest.raises(DrillProduction, match="server of db"):
            shop.drill(CORRUPT, ("stage",), target="stage")
    finally:
        shop.environ["STAGE_DSN"] = kept
    assert shop.server.value("select count(*) from orders") == 400
    assert marks(shop.server) is None


def test_what_stands_for_a_system_and_is_the_system_itself_is_never_harmed(both):
    shop, stage = both
    with shop.platform() as platform, platform.recovery("db").source() as view:

        def standing(dsn):
            return StandingCopy(platform, "db", view, PostgresHands(platform, "db", dsn), {"kind": "latest"})

        with pytest.raises(DrillProduction, match="db itself"):
            refuse_source("db", standing(None))
        refuse_source("db", standing(stage.dsn))
        # A source that is gone is no copy that answers.
        refuse_source("db", standing("host=127.0.0.1 port=1 dbname=x connect_timeout=2"))


def test_an_unknown_target_is_told_with_the_nearest(both):
    shop, _ = both
    with pytest.raises(DrillUsage, match="stag"):
        shop.drill(CORRUPT, target="stag")


def test_a_target_is_broken_noticed_and_mended(both):
    shop, stage = both
    seen = []

    def look(name, state):
        if (name, state) == ("inject", "ended"):
            seen.append(stage.value("select count(*) from orders"))

    done = shop.drill(CORRUPT, ("stage",), target="stage", at=look)
    assert (done.outcome, failed(done)) == ("ok", []), [one.to_json() for one in done.checks if one.state == "failed"]
    assert seen == [280]
    assert stage.value("select count(*) from orders") == 400
    assert stage.value("select count(*) from pg_class where relname like 'holdfast_drill%'") == 0
    assert stage.value("select count(*) from lines l join orders o on o.id = l.orders") == 300
    assert marks(stage) is None
    assert shop.server.value("select count(*) from orders") == 400
