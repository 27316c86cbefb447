"""A small thing that a person gets back by hand, and what proves that it was got back."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from holdfast.errors import FoundWrong
from holdfast.systems.contract.recovery import History


class NothingSmall(FoundWrong):
    """A point holds nothing that is small enough for a person to get back by hand."""

    code = "spot-check-nothing-small"


@dataclass(frozen=True, slots=True)
class Spot:
    """``name``: the thing, as ``ls`` or SQL calls it; ``size`` in bytes. ``restore`` and ``prove``: what a person types to get it back and
    to compute its hash (SHA-256 in hex); ``guide``: the page that tells how. ``how``: the system's own, JSON-ready.
    """

    name: str
    size: int
    guide: str
    restore: tuple[str, ...]
    prove: tuple[str, ...]
    how: Mapping[str, Any]


class SpotCheckable(Protocol):
    """A system of which a person can get a part back by hand."""

    def spot(self, history: History, point: str, draw: random.Random, nonce: str) -> Spot:
        """Something at random. Raises NothingSmall."""
        ...

    def spot_hash(self, history: History, point: str, how: Mapping[str, Any], nonce: str) -> str:
        """The hash, by what the vault holds."""
        ...
