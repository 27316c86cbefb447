"""The report of a drill by a scenario file, on a real server: every field filled, or its reason given; sound; drawn."""

import json

import pytest

from holdfast.evidence import verifier
from holdfast.evidence.empty import empty
from holdfast.evidence.issue import Issued
from holdfast.evidence.page import page
from holdfast.evidence.page.pdf import pdf
from tests.drills.kit import Shop, fill
from tests.servers import PostgresServer, need

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def drilled(tmp_path_factory):
    with need():
        server = PostgresServer.create(15)
    with server:
        fill(server)
        shop = Shop(server, tmp_path_factory.mktemp("shop"))
        done = shop.drill("database-lost", controls=("stale",))
        out = shop.folder / "report.json"
        shop.call("report", done.run, "--out", str(out))
        yield done, out.read_bytes()


def test_its_report_is_whole(drilled):
    done, data = drilled
    evidence = json.loads(data)["evidence"]
    assert verifier.verify(data, {evidence["signer"]["writer"]["root"]}).state == "sound"
    given = {one["field"]: one["reason"] for one in evidence["closure"]["empty"]}
    assert [path for path in empty(evidence) if not given.get(path)] == []
    assert evidence["test"]["kind"] == "restore"
    assert evidence["scope"]["systems"] == ["db"]
    assert evidence["results"]["verdict"] == "passed"
    assert evidence["results"]["rto"]["promised_seconds"] is not None
    assert evidence["results"]["rto"]["measured_seconds"] > 0
    assert evidence["results"]["steps"]
    assert evidence["backup"]["found"]
    assert evidence["people"]
    assert done.run == evidence["test"]["id"]
    issued = Issued("", evidence["number"], data)
    text = page(issued)
    for one in evidence["results"]["steps"]:
        assert one["title"].replace("'", "&#39;") in text
    assert pdf(issued).startswith(b"%PDF")
