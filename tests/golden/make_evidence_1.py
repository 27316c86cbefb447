"""Made tests/golden/evidence-1 once; kept to show how. It refuses to run where the reports are already."""

import datetime as dt
import json
import sys
from pathlib import Path

from tests.evidence.authority import Authority
from tests.evidence.shop import Shop, check

HERE = Path(__file__).parent / "evidence-1"


def main(folder: Path) -> None:
    HERE.mkdir()
    authority = Authority(folder / "authority", days=36500)
    with authority.serving():
        shop = Shop(folder / "shop", more=f"evidence: {{timestamp: {{url: '{authority.url}', ca: {authority.ca}}}}}")
        made = [shop.proved(results=[check("paid orders kept", [[7, "19.90"]], [[7, "19.90"]]), check("Überweisungen", 0, 2, "failed")])]
        run = shop.run("restore", fails=True, note="注文 \ud800")
        shop.clock.by = dt.timedelta(seconds=-30)
        made.append(shop.report(run))
        shop.run("prune", system=None)
        made.append(shop.proved(exact=True))
        root, host = shop.root, shop.platform.host_key.public
        shop.close()
    for one in made:
        (HERE / f"{one.number:08d}.json").write_bytes(one.data)
    (HERE / "authority.pem").write_bytes(authority.ca.read_bytes())
    facts = {"root": root, "host": host, "note": "of a vault that was thrown away", "sha256": [one.sha256 for one in made]}
    (HERE / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
