"""Which journal entries begin and end a run, and which runs prove something. Imports nothing: every command asks at its end."""

PROVING = frozenset({"verify", "spot-check", "restore", "vault-check", "when", "runbook", "drill"})
"""Verbs whose end is evidence by itself; of all others a report is made when somebody asks."""


def begins(kind: str) -> bool:
    """Whether an entry of that kind is the first of a run."""
    return kind.endswith(".start") or kind in {"runbook.begin", "drill.begin"}


def ends(kind: str, verb: str) -> bool:
    """Whether an entry of that kind is the last of a run."""
    return kind in {f"{verb}.end", f"{verb}.ended"}


def proves(kind: str) -> bool:
    """Whether a run that ends with an entry of that kind is evidence by itself."""
    verb = kind.rpartition(".")[0]
    return verb in PROVING and ends(kind, verb)
