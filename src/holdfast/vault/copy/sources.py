"""Several locations as one source: each object from the first of them that has it sound."""

from collections.abc import Callable, Mapping, Sequence

from holdfast.errors import Damaged, Unreachable
from holdfast.storage.contract import ObjectInfo, ObjectMissing, Storage
from holdfast.vault.copy.judge import Judge


class Sources:
    """``silent``: why locations fell silent, by address; they are asked no more. ``differ``: names listed in several with different sizes.

    Safe from many threads.
    """

    def __init__(self, storages: Sequence[Storage], judge: Judge) -> None:
        self._storages = tuple(storages)
        self._judge = judge
        self._quiet: dict[str, str] = {}
        self.differ: set[str] = set()

    @property
    def silent(self) -> Mapping[str, str]:
        return self._quiet

    def list(self, prefix: str) -> dict[str, ObjectInfo]:
        """The union by name, sorted; of several copies the first location's. Raises Unreachable when no source answers."""
        found: dict[str, ObjectInfo] = {}
        last: Unreachable | None = None
        answered = False
        for storage in self._asked():
            try:
                listed = {info.name: info for info in storage.list(prefix)}
            except Unreachable as error:
                last = self._silence(storage, error)
                continue
            answered = True
            self.differ.update(name for name in found.keys() & listed.keys() if found[name].size != listed[name].size)
            found = listed | found
        if not answered and last is not None:
            raise last
        return dict(sorted(found.items()))

    def folders(self, prefix: str) -> Sequence[str]:
        """The union, sorted."""
        found: set[str] = set()
        for storage in self._asked():
            try:
                found.update(storage.folders(prefix))
            except Unreachable as error:
                self._silence(storage, error)
        return sorted(found)

    def get(self, name: str, fits: Callable[[bytes], bool] = lambda _: True) -> tuple[bytes | None, str]:
        """(the bytes of the first sound copy that ``fits``, ''), else (None, why the first is not believed; '' when it is gone everywhere).

        Raises Unreachable when a source that might hold a sound one fell silent.
        """
        wrong = ""
        last: Unreachable | None = None
        for storage in self._asked():
            try:
                data = storage.get(name)
            except ObjectMissing:
                continue
            except Unreachable as error:
                last = self._silence(storage, error)
                continue
            except Damaged as error:
                wrong = wrong or error.message
                continue
            problem = self._judge.problem(name, data)
            if problem is not None:
                wrong = wrong or problem
            elif fits(data):
                return data, ""
        if last is not None:
            raise last
        return None, wrong

    def _asked(self) -> Sequence[Storage]:
        return [storage for storage in self._storages if storage.url not in self._quiet] or self._storages

    def _silence(self, storage: Storage, error: Unreachable) -> Unreachable:
        self._quiet[storage.url] = error.message
        return error
