"""Writing to keys that are free, where a store can refuse the others: an answer that was lost makes our own object no stranger's."""

import abc

from holdfast.connect.objects.contract import Buffer
from holdfast.connect.objects.errors import ObjectChanged, ObjectGone, shown


class FreeKeys(abc.ABC):
    """Satisfies ``OnlyNew`` and ``Objects.put_new``. A store says how one request is refused where the key is taken (ObjectChanged, with
    ``sent`` among its details).
    """

    url: str
    only_new: bool

    @abc.abstractmethod
    def fetch(self, key: str) -> bytes: ...

    @abc.abstractmethod
    def _put_if_free(self, key: str, data: Buffer) -> None: ...

    def put_new(self, key: str, data: Buffer) -> bool:
        """Store it whole and durably unless the key exists; False then. The same bytes that are there already count as stored."""
        return self.put_absent(key, data) or self._holds(key, data)

    def put_absent(self, key: str, data: Buffer) -> bool:
        """As ``put_new``, but what is there already counts only where this very request may have stored it: its answer was lost."""
        try:
            self._put_if_free(key, data)
        except ObjectChanged as error:
            return self._own(error, key, data)
        return True

    def _own(self, error: ObjectChanged, key: str, data: Buffer) -> bool:
        return int(error.details.get("sent", 1)) > 1 and self._holds(key, data)

    def _taken(self, error: ObjectChanged) -> ObjectChanged:
        key = str(error.details.get("key", ""))
        return ObjectChanged(
            f"{self.url}/{shown(key)} was put there by somebody else meanwhile.", hint="Nothing was replaced.", url=self.url, key=key
        )

    def _holds(self, key: str, data: Buffer) -> bool:
        try:
            return self.fetch(key) == bytes(data)
        except ObjectGone:
            return False
