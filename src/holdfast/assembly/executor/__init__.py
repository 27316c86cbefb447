"""Work on systems by other processes than this one: what they are told, what they do, and the pools that run them."""

from holdfast.assembly.executor.given import sharing_of

__all__ = ["sharing_of"]
