"""The object ``config``: format number and the root's public key. Readable without a key, so that a newer format is refused first."""

import datetime as dt
from typing import Any

from holdfast.vault.errors import FormatNewer, NotBelieved, ObjectDamaged
from holdfast.vault.format import envelope, names
from holdfast.vault.format.envelope import Envelope
from holdfast.vault.format.text import from_b64, to_b64
from holdfast.vault.keys import Bundle
from holdfast.vault.keys.notary import Notary

FORMAT = 1


def make(notary: Notary, now: dt.datetime) -> bytes:
    fields: dict[str, Any] = {"format": FORMAT, "root_public": to_b64(notary.bundle.root_public)}
    return notary.make(names.CONFIG, "config", now, fields)


def parse(data: bytes) -> Envelope:
    """Not yet believed (see ``verify``): the root's key comes out of a slot. Raises FormatNewer, ObjectDamaged."""
    if data[:5] == b"HFENV" and data[5:8] != envelope.MAGIC[5:]:
        raise FormatNewer(
            "The vault's objects are of a newer format than this version of Holdfast knows.", hint="Upgrade Holdfast on this machine."
        )
    parsed = envelope.parse(names.CONFIG, data)
    number = parsed.clear.get("format")
    if not isinstance(number, int) or number < 1:
        raise ObjectDamaged("config names no format.", hint="Another location may hold a sound copy.", object=names.CONFIG)
    if number > FORMAT:
        raise FormatNewer(
            f"The vault is of format {number}; this version of Holdfast knows formats up to {FORMAT}.",
            hint="Upgrade Holdfast on this machine; nothing was changed.",
            format=number,
            known=FORMAT,
        )
    try:
        bytes.fromhex(str(parsed.clear["vault"]))
    except (KeyError, ValueError):
        raise ObjectDamaged("config names no vault.", hint="Another location may hold a sound copy.", object=names.CONFIG) from None
    return parsed


def verify(parsed: Envelope, bundle: Bundle) -> None:
    """Believe the config: signed by the root whose key the slot held. Raises NotBelieved."""
    try:
        named = from_b64(str(parsed.clear.get("root_public")))
    except ValueError:
        named = b""
    if parsed.kind != "config" or named != bundle.root_public or not envelope.verify(parsed, bundle.vault, bundle.root_public):
        raise NotBelieved(
            "config is not signed by this vault's root.", hint="Run 'holdfast vault check'; another location may hold a sound copy."
        )
