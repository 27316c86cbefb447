"""Encrypted, deduplicated, immutable recovery points, over `storage` only."""

from holdfast.vault.vault import Vault

__all__ = ["Vault"]
