"""What can go wrong with an executor, and how an error travels back from it."""

from collections.abc import Iterator
from typing import Any

from holdfast.errors import HoldfastError, Refused, Unreachable


class ExecutorUnreachable(Unreachable):
    """The master of an executor does not answer, or has no worker to give."""

    code = "executor-unreachable"


class ExecutorFailed(Unreachable):
    """A worker ended, or failed again and again, while it did its part; nothing was committed."""

    code = "executor-failed"


class ExecutorDiffers(Refused):
    """A worker has another version of Holdfast than this process, or none."""

    code = "executor-version"


class ExecutorRole(Refused):
    """A worker's key may do more than its work needs."""

    code = "executor-role"


class ExecutorNonsense(Refused):
    """A worker handed over what nobody asked it for."""

    code = "executor-nonsense"


def to_json(error: HoldfastError) -> dict[str, Any]:
    return {"code": error.code, "message": error.message, "hint": error.hint, "details": error.details}


def from_json(told: dict[str, Any], host: str) -> HoldfastError:
    """The same error here, saying where it happened; ExecutorFailed for one that this process does not know."""
    kind = next((one for one in _kinds(HoldfastError) if one.__dict__.get("code") == told["code"]), ExecutorFailed)
    error = kind.__new__(kind)
    HoldfastError.__init__(error, f"On the worker {host}: {told['message']}", hint=told["hint"], **{**told["details"], "worker": host})
    return error


def _kinds(kind: type[HoldfastError]) -> Iterator[type[HoldfastError]]:
    yield kind
    for one in kind.__subclasses__():
        yield from _kinds(one)
