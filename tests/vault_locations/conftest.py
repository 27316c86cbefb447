"""Two locations, as the vault's care has them."""

from tests.vault_care.conftest import depot

__all__ = ["depot"]
