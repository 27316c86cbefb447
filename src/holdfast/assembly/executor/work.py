"""What a worker does with a shard: opens the vault with the key of its own machine, and stores or scans. It never commits."""

import functools
import json
import os
import socket
from typing import Any

from holdfast.assembly.executor.errors import ExecutorRole, to_json
from holdfast.assembly.executor.order import Order
from holdfast.errors import HoldfastError
from holdfast.model import Silent, SystemClock

_KEPT = 600.0
"""Seconds that a process uses an opened vault for: then it is opened anew, and what was changed about keys is heeded at the latest."""


def run(text: str) -> str:
    """JSON ``{"host", "report", "shard"}`` or ``{"host", "error"}``: what was raised on purpose is an answer, not tried elsewhere."""
    host = socket.gethostname()
    try:
        order, work, shard = Order.parse(text)
        return json.dumps({"host": host, **(_store(order, shard) if work == "store" else _scan(order, shard))})
    except HoldfastError as error:
        return json.dumps({"host": host, "error": to_json(error)})


def _store(order: Order, shard: Any) -> dict[str, Any]:
    platform = _opened(order, _turn())
    system = platform.system(order.system)
    vault = platform.vault(order.system)
    with vault.begin(
        system=system.name,
        kind=system.kind,
        shard=True,
        chunk_size=system.capabilities.chunk_size,
        workers=order.workers,
        rate=order.rate,
        host=socket.gethostname(),
        copies=platform.plan.effective(order.system).min_copies,
    ) as writer:
        report = system.store(shard, writer, Silent())
        return {"report": report, "shard": writer.hand_over().to_json()}


def _scan(order: Order, shard: Any) -> dict[str, Any]:
    platform = _opened(order, _turn())
    return {"report": platform.recovery(order.system).scan(shard, platform.history(order.system))}


def _turn() -> int:
    return int(SystemClock().monotonic() / _KEPT)


@functools.lru_cache(maxsize=2)
def _opened(order: Order, turn: int) -> Any:
    """One for all shards of a process, so that deriving a key is paid for once. Raises ExecutorRole, and what opening a vault does."""
    from holdfast.assembly.platform import Platform

    del turn
    platform = Platform(order.load(), environ=os.environ)
    role = platform.vault(order.system).role
    if order.role is not None and role != order.role:
        platform.close()
        raise ExecutorRole(
            f"The key from {platform.plan.document.vault.key} opens the vault as {role}, and a worker needs no more than a {order.role}.",
            hint=f"Make a key for the workers: holdfast vault key add --role {order.role}. Then name its place there in the plan:"
            f" executor: {{{'key' if order.role == 'writer' else 'verify_key'}: {{file: PATH}}}}",
        )
    return platform
