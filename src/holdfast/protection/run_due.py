"""Does what is due, once: from cron, on one host or several, as often as wanted."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.protection.due import Due
from holdfast.state import State

Action = Callable[[Due], Mapping[str, Any]]
"""Does one item, records it, and returns facts of the outcome (JSON-ready)."""

Shared = Callable[[str], contextlib.AbstractContextManager[bool]]
"""A lease between hosts on a key: yields whether it was got."""

LEASE = 3600.0


@dataclass(frozen=True, slots=True)
class Done:
    """``outcome``: ok, failed, blocked (it must wait), taken (another process or host does it), gone (no longer due when its turn came)."""

    due: Due
    outcome: str
    facts: Mapping[str, Any]
    error: HoldfastError | None = None

    def document(self) -> dict[str, Any]:
        """JSON-ready."""
        error = self.error and {"code": self.error.code, "message": self.error.message, "hint": self.error.hint}
        return {**self.due.document(), "outcome": self.outcome, "facts": dict(self.facts), "error": error}


@contextlib.contextmanager
def alone(key: str) -> Iterator[bool]:
    """For one host: nobody else to ask."""
    del key
    yield True


def run_due(
    items: Sequence[Due],
    actions: Mapping[str, Action],
    state: State,
    *,
    still: Callable[[Due], Due | None],
    shared: Shared = alone,
    told: Callable[[Done], None] = lambda _: None,
) -> list[Done]:
    """One item after the other; a failure does not keep the next from its turn.

    ``still`` looks again once the lease is held: what another host did meanwhile is not done twice. ``told`` hears each outcome at once.
    """
    done: list[Done] = []
    for item in items:
        outcome = _one(item, actions, state, still, shared)
        done.append(outcome)
        told(outcome)
    return done


def _one(item: Due, actions: Mapping[str, Action], state: State, still: Callable[[Due], Due | None], shared: Shared) -> Done:
    if item.blocked:
        return Done(item, "blocked", {"why": item.blocked})
    action = actions.get(item.verb)
    if action is None:
        return Done(item, "blocked", {"why": f"this version cannot do {item.verb} by itself"})
    lease = state.leases.acquire(f"due/{item.key}", LEASE)
    if lease is None:
        return Done(item, "taken", {})
    try:
        with shared(item.key) as ours:
            if not ours:
                return Done(item, "taken", {})
            now = still(item)
            if now is None:
                return Done(item, "gone", {})
            if now.blocked:
                return Done(now, "blocked", {"why": now.blocked})
            return Done(now, "ok", action(now))
    except HoldfastError as error:
        return Done(item, "failed", {}, error)
    finally:
        state.leases.release(lease)
