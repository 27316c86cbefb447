"""Plain bytes of frames, from the first location that gives them rightly."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar

from holdfast.errors import Damaged, HoldfastError, Unreachable
from holdfast.storage.contract import ObjectMissing, Storage
from holdfast.vault.errors import PackDamaged, PackMissing, RoleLacking
from holdfast.vault.format import crypto, names
from holdfast.vault.packs import layout

T = TypeVar("T")
_HEADER_READ = 4096
_KEYS = 8192
_LARGEST = layout.HEAD_BYTES + layout.MAX_PLAIN + layout.TAG
"""Of a frame as it lies in a pack: what does not shrink is stored as it is."""
GAP = 64 << 10
"""Bytes worth reading and dropping rather than asking once more."""
MOST = 8 << 20
"""Bytes read at once, at most (a single frame may be larger)."""


class Places(Protocol):
    """Where to read (``vault.Locations``): the nearest first, and who hears of those that failed while another one served."""

    @property
    def nearest(self) -> Sequence[Storage]: ...

    def blame(self, storage: Storage, name: str, error: HoldfastError | ValueError) -> None: ...


class PackReader:
    """``digest_of``: the BLAKE3 in a pack's name, None for a pack it does not know. ``reads_content``: the key's role may read every pack,
    so one without a box for it is damaged. ``gone``: asked why a pack may be in no location. Safe from many threads.
    """

    def __init__(
        self,
        places: Places,
        vault: bytes,
        privates: Mapping[bytes, bytes],
        digest_of: Callable[[bytes], bytes | None],
        *,
        reads_content: bool = False,
        gone: Callable[[], HoldfastError | None] = lambda: None,
    ) -> None:
        self._places = places
        self._vault = vault
        self._privates = privates
        self._digest_of = digest_of
        self._reads_content = reads_content
        self._gone = gone
        self._keys: OrderedDict[bytes, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def named(self, pack: bytes, digest: bytes) -> "PackReader":
        """A reader of one pack whose name is known from elsewhere."""
        return PackReader(
            self._places,
            self._vault,
            self._privates,
            lambda wanted: digest if wanted == pack else None,
            reads_content=self._reads_content,
            gone=self._gone,
        )

    def name(self, pack: bytes) -> str:
        """Raises PackMissing for a pack that is not known."""
        digest = self._digest_of(pack)
        if digest is None:
            raise PackMissing(
                f"The pack {pack.hex()} is not among the packs of this recovery point.", hint="Run 'holdfast vault check'.", pack=pack.hex()
            )
        return names.pack(pack, digest)

    def key(self, pack: bytes) -> bytes:
        """The pack's key, out of its header. RoleLacking when no box in it is for this reader."""
        with self._lock:
            key = self._keys.get(pack)
        if key is not None:
            return key
        name = self.name(pack)
        key = self._each_location(name, lambda storage: self._read_key(storage, name, pack))
        with self._lock:
            self._keys[pack] = key
            while len(self._keys) > _KEYS:
                self._keys.popitem(last=False)
        return key

    def answers(self) -> bool:
        """Whether any location gives its configuration now, which each has."""
        for storage in self._places.nearest:
            try:
                storage.get(names.CONFIG)
            except HoldfastError:
                continue
            return True
        return False

    def frame(self, pack: bytes, offset: int, whole: int) -> bytes:
        """The plain bytes of one frame."""
        return next(iter(self.frames(pack, [(offset, whole)])))[1]

    def frames(self, pack: bytes, wanted: Sequence[tuple[int, int]]) -> Iterator[tuple[int, bytes]]:
        """(offset, plain) of each (offset, whole length), which must be sorted; neighbours are read at once."""
        key = self.key(pack)
        name = self.name(pack)
        largest = max((whole for _, whole in wanted), default=0)
        if largest > _LARGEST:
            raise PackDamaged(
                f"A list of chunks names a frame of {largest} bytes in {name}; no writer makes one over {_LARGEST}.",
                hint="Run 'holdfast vault check --read all'; restore another recovery point.",
                object=name,
            )
        start = 0
        while start < len(wanted):
            end = start + 1
            while end < len(wanted) and self._joins(wanted, start, end):
                end += 1
            begin = wanted[start][0]
            stop = wanted[end - 1][0] + wanted[end - 1][1]
            data = self._range(name, begin, stop - begin)
            for offset, whole in wanted[start:end]:
                yield offset, self._open(key, pack, name, offset, memoryview(data)[offset - begin : offset - begin + whole], whole)
            start = end

    @staticmethod
    def _joins(wanted: Sequence[tuple[int, int]], start: int, end: int) -> bool:
        near = wanted[end][0] <= wanted[end - 1][0] + wanted[end - 1][1] + GAP
        return near and wanted[end][0] + wanted[end][1] - wanted[start][0] <= MOST

    def _range(self, name: str, begin: int, length: int) -> bytes:
        """From the first location that answers at all; what it says is judged frame by frame. Raises PackMissing, Unreachable."""
        failed: list[tuple[Storage, HoldfastError]] = []
        for storage in self._places.nearest:
            try:
                data = storage.get(name, begin, length)
            except (Damaged, Unreachable) as error:
                failed.append((storage, error))
                continue
            for other, why in failed:
                self._places.blame(other, name, why)
            return data
        raise next((error for _, error in failed if isinstance(error, Unreachable)), None) or self._missing(name)

    def _open(self, key: bytes, pack: bytes, name: str, offset: int, view: memoryview, whole: int) -> bytes:
        try:
            return layout.open_frame(key, self._vault, pack, view)
        except ValueError:
            return self._each_location(name, lambda storage: layout.open_frame(key, self._vault, pack, storage.get(name, offset, whole)))

    def _read_key(self, storage: Storage, name: str, pack: bytes) -> bytes:
        data = storage.get(name, 0, _HEADER_READ)
        if len(data) >= 12 and data[:8] == layout.MAGIC:
            length = int.from_bytes(data[8:12], "little")
            if _HEADER_READ - 12 < length <= layout.MAX_HEADER:
                data = storage.get(name, 0, 12 + length)
        header = layout.parse_header(data)
        if header.pack != pack or header.vault != self._vault:
            raise ValueError("its header names another pack")
        for holder, box in header.boxes.items():
            private = self._privates.get(holder)
            if private is not None:
                try:
                    return crypto.unbox(box, private)
                except crypto.CannotOpen:
                    raise ValueError("its key cannot be opened") from None
        if self._reads_content:
            raise ValueError("its header holds no box for a key that reads content")
        raise RoleLacking("This key may not read the content of the vault.", hint="Use an owner's or a reader's key.", pack=pack.hex())

    def _each_location(self, name: str, read: Callable[[Storage], T]) -> T:
        failed: list[tuple[Storage, HoldfastError | ValueError]] = []
        for storage in self._places.nearest:
            try:
                found = read(storage)
            except (ObjectMissing, ValueError, Unreachable) as error:
                failed.append((storage, error))
                continue
            for other, why in failed:
                self._places.blame(other, name, why)
            return found
        for _, why in failed:
            if isinstance(why, Unreachable):
                raise why
        wrong = [why for _, why in failed if isinstance(why, ValueError)]
        if not wrong:
            raise self._missing(name)
        raise PackDamaged(
            f"{name} is damaged: {wrong[-1]}.",
            hint="Run 'holdfast vault check --read all --heal'; what no location has sound the next backup stores again.",
            object=name,
        )

    def _missing(self, name: str) -> HoldfastError:
        return self._gone() or PackMissing(
            f"{name} is in no location.", hint="Run 'holdfast vault check' to see which recovery points are hurt.", object=name
        )
