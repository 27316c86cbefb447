"""What has to be there before a run begins, looked at for the person who begins it."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.runbooks.engine.state import RunState
from holdfast.runbooks.engine.work import Bench


@dataclass(frozen=True, slots=True)
class Looked:
    """``ok`` None: only a person can tell."""

    what: str
    text: str
    ok: bool | None
    why: str = ""


def look(document: Mapping[str, Any], state: RunState, bench: Bench) -> list[Looked]:
    """Runs the checks of ``needs.access``, which only look; searches the tools on the PATH that the steps will have."""
    needs = document["needs"]
    found = []
    for tool in needs["tools"]:
        there = shutil.which(tool["name"], path=bench.environment.get("PATH")) is not None
        found.append(Looked("tool", tool["name"], there, "" if there else "it is not on the PATH"))
    for access in needs["access"]:
        if access.get("check"):
            result = bench.call(state, "needs", access["check"])
            found.append(Looked("access", access["text"], result.answer is True, result.message))
        else:
            found.append(Looked("access", access["text"], None))
    return found + [Looked("information", text, None) for text in needs["information"]]
