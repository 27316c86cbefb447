"""Puts the written format and the stand-alone reader into a vault, so that it can be read in ten years without Holdfast."""

import contextlib
from importlib.resources import files

from holdfast.storage.contract import ObjectExists, Storage

FORMAT = "FORMAT.md"
DECODER = "decoder.py"


def parts() -> dict[str, bytes]:
    """Object name → bytes, as this version ships them."""
    here = files("holdfast.vault.format")
    return {name: (here / name).read_bytes() for name in (FORMAT, DECODER)}


def write(storage: Storage) -> None:
    """Store both where they are not there yet. What an older version put there stays: it describes the format just as well."""
    for name, body in parts().items():
        with contextlib.suppress(ObjectExists):
            storage.put_if_absent(name, [body])
