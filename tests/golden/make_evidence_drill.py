"""Made tests/golden/evidence-drill once; kept to show how. It refuses to run where the files are already."""

import json
import sys
from pathlib import Path

from holdfast.assembly.evidence.period import signed_tests
from holdfast.evidence.drilled import Begun, Check, Did, Ended, Finding, Flow, Returned, Step
from holdfast.protection.recorded import recorded
from tests.evidence.shop import Shop

HERE = Path(__file__).parent / "evidence-drill"
AT = "2026-11-21T10:00:0{}.000000+00:00"


def begun() -> Begun:
    return Begun(
        "full",
        {"name": "lost", "title": "Everything is lost", "hash": "ab" * 32, "text": "Überall nichts"},
        ["orders"],
        {"rto": 60.0, "rpo": 5.0, "words": "soon"},
        ["the sentinel comes back"],
        [{"name": "mail", "reason": "there is none"}],
        [{"name": "emil", "role": "observer"}],
    )


def ended() -> Ended:
    return Ended(
        verdict="passed",
        results=[Check("sentinel", "sentinel", "passed", 1, 1, "equal", 0.5, "orders")],
        clocks={"detect": 1.0, "declare": 0.5, "restore": 2.0, "accept": 1.0, "total": 3.0},
        people=[
            Did("commander", "carla", AT.format(1), "declared", "declare"),
            Did("approver", "dora", AT.format(4), "accepted", "accept", "a test"),
        ],
        steps=[
            Step("declare", "Declare", "carla", AT.format(0), AT.format(1), 1.0, "ok", "cd" * 32, 3, phase="declare"),
            Step(
                "restore",
                "Restore",
                "holdfast",
                AT.format(1),
                AT.format(3),
                2.0,
                "ok",
                "cd" * 32,
                3,
                "tried twice",
                command="holdfast restore",
                phase="restore",
            ),
            Step("tell", "Tell", "carla", AT.format(3), AT.format(3), 0.0, "skipped", "cd" * 32, 0, skipped="nobody to tell"),
        ],
        findings=[Finding("slow disks", "core-data", "2026-12-01", "high", "holdfast drill lost")],
        sign_off=Did("approver", "dora", AT.format(4), "signed off", "accept", "a test"),
        isolation="a folder of its own",
        isolation_proof=[{"name": "listens", "expected": "", "actual": ""}],
        teardown=[{"name": "the folder is there", "expected": False, "actual": False}],
        torn_down=True,
        flows=[Flow("orders", "lake/orders", "closed", 7, "seven were carried again")],
        returned=[Returned("orders", "0" * 32, 60.0, 3.0, 5.0, 0.25, 2, AT.format(0), "by a ledger")],
        rpo={"lost_seconds": 0.25, "newest_recovered": AT.format(0), "newest_committed": AT.format(1), "counted": "by a ledger"},
        points={"orders": "0" * 32},
        incident={"id": "INC-1", "severity": "P1", "state": "resolved", "declared_at": AT.format(1)},
        retest={"by": "holdfast drill lost", "due": "2027-02-01", "why": "quarterly"},
        transactions_lost=2,
        reached={"time": AT.format(0)},
        absent={"results.message": "nothing to add"},
    )


def main(folder: Path) -> None:
    HERE.mkdir()
    shop = Shop(folder / "shop")
    shop.plan.write_text(shop.plan.read_text().replace("rpo: 2d,", "rpo: 2d, drill: quarterly,"))
    shop.open()
    shop.platform.vault()
    with recorded(shop.platform.state, shop.platform.journal, shop.clock, "drill", None, incident="INC-1", **begun().to_json()) as work:
        work.add(**ended().to_json())
    report = shop.report(work.run)
    now = shop.clock.now()
    period = signed_tests(shop.platform, f"{now.year}-Q{(now.month + 2) // 3}", print)
    (HERE / "drill.json").write_bytes(report.data)
    (HERE / "period.json").write_bytes(period.data)
    facts = {"root": shop.root, "note": "of a vault that was thrown away", "sha256": {"drill": report.sha256, "period": period.sha256}}
    (HERE / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")
    shop.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
