"""What a worker is told: a plan that speaks of one system alone, and where on its machine its key lies. No secret."""

import copy
import dataclasses
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast import __version__
from holdfast.assembly.executor.errors import ExecutorDiffers
from holdfast.plan import Plan
from holdfast.plan.loader import load
from holdfast.plan.portable import as_text

_PLAN = ("platform", "timezone", "vault", "tiers", "defaults")
_OURS = ("executor", "checks", "owner")
"""Of a system: what only the driver heeds."""


@dataclass(frozen=True)
class Order:
    """``plan`` as text, ``folder`` what its relative paths are of. ``rate`` in bytes a second and ``workers`` threads, for each process.

    ``role``: that of the key, which may be no other; None: whatever this process has itself (for a pool in this process).
    """

    plan: str
    folder: str
    system: str
    role: str | None
    rate: float | None = None
    workers: int = 0
    version: str = __version__

    def to_text(self, work: str, shard: Mapping[str, Any]) -> str:
        return json.dumps({**dataclasses.asdict(self), "work": work, "shard": shard})

    @classmethod
    def parse(cls, text: str) -> tuple["Order", str, Mapping[str, Any]]:
        """(the order, which work, the shard). Raises ExecutorDiffers before anything else of it is believed."""
        document = json.loads(text)
        if document.get("version") != __version__:
            raise differs(__version__, str(document.get("version")))
        work, shard = document.pop("work"), document.pop("shard")
        return cls(**document), work, shard

    def load(self) -> Plan:
        """The plan, as if it lay where the driver has it."""
        with tempfile.TemporaryDirectory(prefix="holdfast-") as folder:
            path = Path(folder) / "holdfast.yaml"
            path.write_text(self.plan, encoding="utf-8")
            plan = load(path)
        return dataclasses.replace(plan, path=Path(self.folder) / "holdfast.yaml")


def differs(there: str, here: str) -> ExecutorDiffers:
    """``there``: the version of the worker, in words where it has none."""
    return ExecutorDiffers(
        f"The worker has Holdfast {there}, and this is Holdfast {here}: what one writes the other might not take on.",
        hint="Install the same version on all workers, or name the Python that has it: executor: {python: PATH}",
    )


def plan_for(plan: Plan, system: str, key: Mapping[str, Any] | None) -> str:
    """The plan of a worker: the vault, how this one system is reached, and ``key`` in place of the vault's own."""
    document: dict[str, Any] = {name: copy.deepcopy(value) for name, value in plan.merged.items() if name in _PLAN}
    kind = plan.effective(system).kind
    document["systems"] = {system: _without(plan.merged["systems"][system])}
    document["defaults"] = {kind: _without((document.get("defaults") or {}).get(kind) or {})}
    if key is not None:
        document["vault"]["key"] = dict(key)
    return as_text(document)


def _without(part: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name not in _OURS}
