"""The plan's identity for evidence."""

import hashlib
import json
from typing import Any

NOT_MEANING = ("include", "vars")  # how it was written, not what it says: their effect is in the rest


def plan_hash(merged: Any) -> str:
    """``sha256:`` and 64 hex digits over canonical JSON (UTF-8, keys sorted, no spaces) of the merged plan with variables filled in.

    Comments, order of keys, splitting into files and variables do not change it; any value does. SHA-256, so that an auditor's own
    tools can check it.
    """
    meaning = {key: value for key, value in merged.items() if key not in NOT_MEANING}
    text = json.dumps(meaning, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return "sha256:" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
