"""Brings locations to the state of the others, byte for byte and without a key; tells how far each is behind."""

from holdfast.vault.copy.behind import Behind, Held, ask, behind
from holdfast.vault.copy.complete import complete
from holdfast.vault.copy.run import Copied, copy

__all__ = ["Behind", "Copied", "Held", "ask", "behind", "complete", "copy"]
