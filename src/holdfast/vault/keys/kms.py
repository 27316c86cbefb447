"""What a key management system must do to hold the key of a slot. The implementations are below, in ``connect``; they fit by shape."""

from collections.abc import Mapping
from typing import Protocol


class Kms(Protocol):
    """A key that never leaves its device or service. It wraps a slot's key: 32 bytes in, some hundred bytes out, and back."""

    @property
    def provider(self) -> str:
        """Its name ("pkcs11"): stands in the slot, and a slot of another provider is not asked."""
        ...

    @property
    def names(self) -> Mapping[str, str]:
        """Which key it is, in the provider's words (token, label), for whoever looks for it years later. In the slot in the clear."""
        ...

    def wrap(self, key: bytes, ad: bytes) -> bytes:
        """Encrypt and authenticate ``key`` together with ``ad``."""
        ...

    def unwrap(self, wrapped: bytes, ad: bytes) -> bytes | None:
        """The key, None when this device says that it was not wrapped by this key with this ``ad``. Raises when it cannot be asked."""
        ...


Secret = str | Kms
"""What opens a slot: the text of a passphrase, recovery key or file key, or a KMS that holds the key."""
