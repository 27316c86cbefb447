"""The vault under an older keyring, to read only: for whoever has a locked location and a thief who had an owner's key.

With such a key keyrings can be added that take every slot out of force and revoke every writer. They destroy nothing, and the keyrings
before them are locked beside them; so one says which of them is the last true one.
"""

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import ClassVar

from holdfast.errors import Usage
from holdfast.storage.contract import Buffer, ObjectInfo, ObjectMissing, Storage, StorageDenied
from holdfast.storage.wrappers.base import Wrapper
from holdfast.vault.format import names


class BadGeneration(Usage):
    """The generation of a keyring is a whole number from 1 up."""

    code = "bad-keyring-generation"


def as_of(storages: Sequence[Storage], generation: str | None) -> list[Storage]:
    """``storages`` as they are, or (``generation`` is not empty) without the keyrings that came after it. Raises BadGeneration."""
    if not generation:
        return list(storages)
    if not generation.isdecimal() or int(generation) < 1:
        raise BadGeneration(
            f"'{generation}' is no generation of a keyring.",
            hint="Write HOLDFAST_KEYRING=3 for the third; 'holdfast vault key list' counts.",
        )
    return [KeyringAsOf(storage, int(generation)) for storage in storages]


class KeyringAsOf(Wrapper):
    """Newer keyrings are not there, and nothing is put or removed."""

    _why: ClassVar[str] = "The vault is read under an older keyring (HOLDFAST_KEYRING), and so it is not written."

    def __init__(self, inner: Storage, generation: int) -> None:
        super().__init__(inner)
        self._last = names.ring(generation)

    def put_if_absent(self, name: str, parts: Sequence[Buffer]) -> None:
        del parts
        raise StorageDenied(self._why, hint="Copy what is whole into a new vault, and go on there.", name=name, url=self.url)

    def delete(self, name: str) -> None:
        raise StorageDenied(self._why, hint="Copy what is whole into a new vault, and go on there.", name=name, url=self.url)

    def get(self, name: str, start: int = 0, length: int | None = None) -> bytes:
        if self._later(name):
            raise ObjectMissing(f"{name} came after the keyring that is used.", name=name, url=self.url)
        return self.inner.get(name, start, length)

    def head(self, name: str) -> ObjectInfo | None:
        return None if self._later(name) else self.inner.head(name)

    def list(self, prefix: str = "", after: str = "") -> Iterator[ObjectInfo]:
        return (info for info in self.inner.list(prefix, after) if not self._later(info.name))

    def now(self) -> dt.datetime:
        return self.inner.now()

    def _later(self, name: str) -> bool:
        return name.startswith(names.RINGS) and name > self._last
