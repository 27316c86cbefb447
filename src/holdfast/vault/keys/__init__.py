"""Who may open a vault: the bundle of keys of a role, and the slots that wrap it."""

from holdfast.vault.keys.bundle import SCOPE, Bundle, Epoch, Role, WriterKeys, writer_id

__all__ = ["SCOPE", "Bundle", "Epoch", "Role", "WriterKeys", "writer_id"]
