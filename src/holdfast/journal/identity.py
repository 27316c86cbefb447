"""The key by which a host signs what its journal proves.

It lies beside the journal (``host.key``, mode 0600: an Ed25519 private key, 64 hex digits and a newline) and never leaves the host. Its
public half is certified by the writer whose key opened the vault, and that certificate lies in every location: a report signed by another
key is one for which nobody vouches. A lost key is replaced by a new one; what the old one signed stays proved.
"""

import functools
import hashlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holdfast.connect.durable import sync_folder
from holdfast.errors import Damaged, Unreachable
from holdfast.journal.record import canonical

NAME = "host.key"


class HostKeyDamaged(Damaged):
    """The file of the host's key holds no key."""

    code = "host-key-damaged"


class HostKeyUnwritable(Unreachable):
    """The host's key could not be made or read."""

    code = "host-key-unwritable"


class HostKey:
    """Made when first asked for; several processes of a host get the same one."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    @functools.cached_property
    def public(self) -> str:
        """64 hex digits. Raises HostKeyDamaged, HostKeyUnwritable."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self._private).public_key().public_bytes_raw().hex()

    @property
    def id(self) -> str:
        """16 hex digits of the public key's SHA-256."""
        return hashlib.sha256(bytes.fromhex(self.public)).hexdigest()[:16]

    def sign(self, kind: str, body: Mapping[str, Any]) -> str:
        """The signature, in hex, of ``kind`` ‖ NUL ‖ canonical ``body``: nothing signed as one kind can be taken for another."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(self._private).sign(kind.encode("ascii") + b"\0" + canonical(body)).hex()

    @functools.cached_property
    def _private(self) -> bytes:
        try:
            if not self.path.exists():
                self._make()
            text = self.path.read_text(encoding="ascii")
        except OSError as error:
            raise HostKeyUnwritable(
                f"The host's key {self.path} cannot be made or read: {error}.", hint="Free or repair the folder.", path=str(self.path)
            ) from error
        except UnicodeDecodeError:
            text = ""
        try:
            found = bytes.fromhex(text.strip())
        except ValueError:
            found = b""
        if len(found) != 32:
            raise HostKeyDamaged(
                f"{self.path} holds no key.",
                hint="Bring it back from a copy of this folder, or move it aside: a new key is made, and what was signed stays proved.",
                path=str(self.path),
            )
        return found

    def _make(self) -> None:
        """Linked to its name when it is whole and durable: a crash leaves no half key, and of two processes the first one wins."""
        folder = self.path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = folder / f".{NAME}.{os.getpid()}.{secrets.token_hex(4)}"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, secrets.token_bytes(32).hex().encode("ascii") + b"\n")
            os.fsync(descriptor)
            try:
                os.link(temporary, self.path)
            except FileExistsError:
                return
            sync_folder(folder)
        finally:
            os.close(descriptor)
            temporary.unlink()
