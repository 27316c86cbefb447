"""What a drill does by hand in buckets and lakes of Delta tables: marks, where the plan gives a place for them, and spoilt copies.

Whoever reads a bucket by its prefix reads a mark, too: so none is written without the plan's word (``drills: marks:``).
"""

import contextlib
import datetime as dt
import json
import re
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.drills.contract import Control, Look, Mark
from holdfast.drills.errors import DrillUsage, NotTornDown, SentinelUnwritable
from holdfast.errors import HoldfastError

if TYPE_CHECKING:
    from holdfast.assembly.platform import Platform
    from holdfast.connect.objects import Objects
    from holdfast.systems.contract import Isolated

NAME = "holdfast-sentinel-"
COLUMNS = {"n": "long", "at": "string"}
"""Of a table of marks."""
_HINT = "Give marks another place (drills: marks: in the plan), or leave sentinel out of the scenario's criteria."


class _Lake:
    """``place``: as the plan says it, below the system's address."""

    def __init__(self, platform: "Platform", system: str, place: str) -> None:
        self._platform, self._system, self._place = platform, system, place.strip("/")
        self._spec: Any = platform.plan.effective(system).spec

    @contextlib.contextmanager
    def _store(self) -> Iterator[tuple["Objects", str]]:
        """(the store, what keys below the address begin with)."""
        from holdfast.assembly.systems.bucket import opener
        from holdfast.systems.bucket.settings import folder_of

        url = str(self._spec.url)
        store = opener(self._platform, self._spec)(url)
        try:
            yield store, folder_of(url)
        finally:
            store.close()

    def _put(self, store: "Objects", key: str, data: bytes) -> None:
        store.put(key, data)
        store.sync()

    def _unwritable(self, error: HoldfastError) -> SentinelUnwritable:
        return SentinelUnwritable(f"No mark can be written into {self._system}: {error.message}", hint=_HINT, system=self._system)

    def _remove(self, keys: Sequence[str], store: "Objects") -> None:
        for at in range(0, len(keys), 1000):
            store.delete(keys[at : at + 1000])
        store.sync()

    def own(self, name: str) -> bool:
        del name
        return False

    def isolation(self, view: "Isolated") -> list[dict[str, Any]]:
        del view
        return []

    def look(self, view: "Isolated") -> Look | None:
        del view
        return None


class BucketHands(_Lake):
    """A mark is a line of one object."""

    controls: Sequence[Control] = ("stale", "truncated")

    def _key(self, nonce: str, folder: str = "") -> str:
        return f"{folder}{self._place + '/' if self._place else ''}{NAME}{nonce}.json"

    def ready(self) -> str:
        from holdfast.systems.bucket.settings import whole_prefixes

        with self._store() as (_, folder):
            key = self._key("", folder)
        if not any(key.startswith(prefix) for prefix in whole_prefixes(str(self._spec.url), self._spec.prefixes or ())):
            raise SentinelUnwritable(
                f"What {self._system} protects holds no {self._place}/: a mark would not be in its backup.", hint=_HINT
            )
        return f"{self._spec.url}, {self._place}/"

    def plant(self, nonce: str, n: int) -> Mark:
        """Raises SentinelUnwritable."""
        mark = Mark(nonce, n, self._platform.clock.now())
        try:
            with self._store() as (store, folder):
                key = self._key(nonce, folder)
                lines = (_read(store, key) or b"") + json.dumps({"n": n, "at": mark.at.isoformat()}).encode() + b"\n"
                self._put(store, key, lines)
        except HoldfastError as error:
            raise self._unwritable(error) from error
        return mark

    def unplant(self, nonce: str) -> str:
        with self._store() as (store, folder):
            key = self._key(nonce, folder)
            self._remove([key], store)
            if store.describe(key) is not None:
                raise NotTornDown(f"{key} is still in {self._system}.", hint="Remove it.", system=self._system)
        return f"{self._system} holds no {key}, where versions are kept but hidden ones"

    def marks(self, view: "Isolated", nonce: str) -> list[Mark]:
        path = Path(view.connection.removeprefix("file://")) / self._key(nonce)
        with contextlib.suppress(FileNotFoundError):
            return _marks(nonce, path.read_bytes())
        return []

    def spoil(self, view: "Isolated", table: str | None, share: float) -> dict[str, Any]:
        del view, table, share
        raise DrillUsage(f"{self._system} is of kind bucket, whose copies are read out of the vault and cannot be harmed.")


class DeltaHands(_Lake):
    """Marks are rows of a table of the drill's own, ``PLACE_NONCE``, which goes again at the end."""

    controls: Sequence[Control] = ("stale", "truncated", "poisoned")

    def _table(self, nonce: str) -> str:
        return f"{self._place}_{nonce}"

    def own(self, name: str) -> bool:
        return re.fullmatch(re.escape(self._place) + r"_[0-9a-f]{24}", name) is not None

    def ready(self) -> str:
        import fnmatch

        wanted = [str(one).strip("/") for one in self._spec.tables or ()]
        if wanted and not any(fnmatch.fnmatchcase(self._table("0" * 24), one) for one in wanted):
            raise SentinelUnwritable(
                f"What {self._system} protects holds no table {self._place}_…: a mark would not be in its backup.",
                hint=f'Add "{self._place}_*" to its tables in the plan. {_HINT}',
                system=self._system,
            )
        return f"{self._spec.url}, a table {self._place}_…"

    def plant(self, nonce: str, n: int) -> Mark:
        """Version ``n`` of the table, by the protocol's oldest versions, which every reader reads. Raises SentinelUnwritable."""
        from holdfast.systems.delta.data import little

        mark = Mark(nonce, n, self._platform.clock.now())
        name = f"part-{n:05d}-{uuid.uuid4()}.parquet"
        data = little.data_file(COLUMNS, [(n, mark.at.isoformat())])
        first = little.created(str(uuid.uuid5(uuid.NAMESPACE_OID, nonce)), COLUMNS, mark.at) if n == 0 else []
        try:
            with self._store() as (store, folder):
                top = f"{folder}{self._table(nonce)}/"
                self._put(store, f"{top}{name}", data)
                self._put(store, f"{top}_delta_log/{n:020d}.json", little.commit([*first, little.added(name, len(data), 1, mark.at)]))
        except HoldfastError as error:
            raise self._unwritable(error) from error
        return mark

    def unplant(self, nonce: str) -> str:
        with self._store() as (store, folder):
            top = f"{folder}{self._table(nonce)}/"
            # The log first: what has none is no table.
            found = sorted((one.key for one in store.list(top)), key=lambda key: "/_delta_log/" not in key)
            self._remove([key for key in found if not key.endswith("/")], store)
            _remove_folder(str(self._spec.url), self._table(nonce))
            left = [one.key for one in store.list(top)]
        if left:
            raise NotTornDown(f"{len(left)} objects of {top} are still in {self._system}.", hint="Remove them.", system=self._system)
        return f"{self._system} holds nothing below {self._table(nonce)}/"

    def marks(self, view: "Isolated", nonce: str) -> list[Mark]:
        from holdfast.systems.delta.data.view import LakeView

        table = self._table(nonce)
        if not isinstance(view, LakeView) or table not in view.tables:
            return []
        rows = view.query(f'select "n", "at" from "{table}" order by 1')  # noqa: S608 - a name of the plan and hex digits
        return [Mark(nonce, int(n), dt.datetime.fromisoformat(str(at))) for n, at in rows]

    def spoil(self, view: "Isolated", table: str | None, share: float) -> dict[str, Any]:
        """The first row of the largest data file of a copy becomes what its last one is."""
        from holdfast.systems.delta.data.little import change_a_row

        del share
        root = Path(view.connection)
        for path in sorted(root.rglob("*.parquet"), key=lambda path: (-path.stat().st_size, str(path))):
            name = str(path.parent.relative_to(root))
            if "_delta_log" in path.parts or self.own(name) or table not in (None, name):
                continue
            if (rows := change_a_row(path)) is not None:
                return {"table": name, "file": path.name, "rows": rows, "changed": 1}
        raise DrillUsage(
            f"{self._system} has no table with rows to harm.", hint="Name one that has: disaster: {table: …}", system=self._system
        )


def _read(store: "Objects", key: str) -> bytes | None:
    found = store.describe(key)
    if found is None:
        return None
    buffer = bytearray(found.size)
    store.read_into(key, memoryview(buffer))
    return bytes(buffer)


def _marks(nonce: str, lines: bytes) -> list[Mark]:
    said = [json.loads(line) for line in lines.splitlines()]
    return [Mark(nonce, int(one["n"]), dt.datetime.fromisoformat(one["at"])) for one in said]


def _remove_folder(url: str, table: str) -> None:
    """Of a lake on this machine: the folders that the table's files lay in."""
    from holdfast.systems.delta.store import folder_of

    folder = folder_of(url)
    for path in (folder / table / "_delta_log", folder / table) if folder is not None else ():
        with contextlib.suppress(OSError):
            path.rmdir()
