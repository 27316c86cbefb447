"""One order again, as a failed campaign printed it: python -m tests.campaign '{"deed": …}'. The folder stays."""

import json
import sys
import tempfile
from pathlib import Path

from tests.campaign.driver import Zygotes


def main() -> int:
    order = json.loads(sys.argv[1])
    folder = Path(tempfile.mkdtemp(prefix="holdfast-campaign-"))
    order |= {"template": str(folder / "template"), "stage": {"folder": str(folder / "stage"), "bucket": None}}
    zygotes = Zygotes(1, folder / "log")
    made = zygotes.call({"act": "make", "deed": order["deed"], "stage": {"folder": order["template"], "bucket": None}})
    assert "wrong" not in made, made
    result = zygotes.call(order)
    zygotes.close()
    failed = result.pop("failed", "")
    print(json.dumps(result, indent=1), failed, f"left in {folder}", sep="\n")
    return 1 if "wrong" in result else 0


sys.exit(main())
