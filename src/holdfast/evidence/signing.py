"""Who signs: a host's key, vouched for by a writer of the vault, whom the vault's root certified."""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.journal import HostKey, canonical

HOST = "holdfast host 1"
ANCHOR = "holdfast anchor 1"
EVIDENCE = "holdfast evidence 1"

Vouch = Callable[[bytes], str]
"""The writer's signature (hex) on a message that begins with ``holdfast host 1``."""


@dataclass(frozen=True, slots=True)
class Signer:
    """``name``: the host's. ``vault``: 32 hex digits. ``certificate``: None where no writer vouches (a key that only reads). ``writer``:
    ``{"id", "certificate", "root"}``: what proves the writer.
    """

    key: HostKey
    name: str
    vault: str
    certificate: Mapping[str, Any] | None = None
    writer: Mapping[str, Any] | None = None

    def block(self) -> dict[str, Any]:
        """As it stands in a report."""
        return {"public": self.key.public, "certificate": self.certificate, "writer": self.writer}


def certify(key: HostKey, name: str, vault: str, writer: str, vouch: Vouch, at: dt.datetime) -> dict[str, Any]:
    """The host's certificate: ``{"host": {…}, "signature"}``."""
    body = {
        "format": HOST,
        "vault": vault,
        "key": key.id,
        "public": key.public,
        "name": name,
        "writer": writer,
        "at": at.astimezone(dt.UTC).isoformat(timespec="microseconds"),
    }
    return {"host": body, "signature": vouch(HOST.encode("ascii") + b"\0" + canonical(body))}
