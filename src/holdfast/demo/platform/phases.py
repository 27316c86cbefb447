"""Which part of the clock each step of the platform's runbook belongs to."""

from collections.abc import Mapping

LAST = "flowing"
"""New orders arrive: the way back ends there."""
STEPS: Mapping[str, str] = {
    "way": "decide",
    "agree": "wait",
    "affected": "prepare",
    "look": "prepare",
    "restore-app": "restore",
    "restore-db": "restore",
    "restore-lake": "restore",
    "restore-raw": "restore",
    "replay": "replay",
    "lines": "validate",
    "compare": "validate",
    "accept": "wait",
    "newest": "accept",
    "repoint": "accept",
    "flowing": "accept",
}
"""By step of the runbook. ``told`` comes when it is over."""
