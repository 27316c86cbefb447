"""``make runbooks``: both shipped runbooks on real servers, killed at every step in turn, resumed by other processes. Prints what happened
at each kill, and where the signed reports lie. Words: numbers of passes (all without); of steps: only there.
"""

import sys
import tempfile
import time
import traceback
from dataclasses import replace
from pathlib import Path

from tests.runbook_templates.campaign import PASSES, go
from tests.servers.account import server_folder

MOMENTS = {
    "before": "before it",
    "in": "in it; its process goes on",
    "dead": "in it; its process dies too",
    "after": "after it, before that was written",
}


def main(words: list[str]) -> int:
    steps = tuple(word for word in words if not word.isdigit())
    chosen = [PASSES[int(word) - 1] for word in words if word.isdigit()] or list(PASSES)
    if steps:
        chosen = [replace(one, steps=steps) for one in chosen]
    out = Path(tempfile.mkdtemp(prefix="holdfast-runbooks-"))
    ground = server_folder("runbooks")
    began = time.monotonic()
    kills = failed = 0
    for number, made in enumerate(chosen, 1):
        way = f", option {made.way}" if made.way else ""
        print(f"\n{number}/{len(chosen)}  {made.what}{way}: killed {' and '.join(MOMENTS[one] for one in made.moments)}", flush=True)
        try:
            passed = go(made, ground, out)
        except Exception:  # noqa: BLE001 - the other passes are run all the same
            failed += 1
            print(f"  FAILED\n{traceback.format_exc()}", flush=True)
            continue
        kills += len(passed.lines)
        for line in passed.lines:
            print(f"  {line.step:<18} {line.moment:<7} {line.seconds:>6.1f} s  {line.outcome}")
        print(f"  right by content, nothing done twice, chain and report sound; {len(passed.lines)} kills in {passed.seconds:.0f} s")
        for report in passed.reports:
            print(f"  {report}", flush=True)
    print(f"\n{kills} kills, {len(chosen) - failed} of {len(chosen)} passes right, {time.monotonic() - began:.0f} s. Signed reports: {out}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
