"""Frames from many threads into packs; finished packs to the locations, by threads of its own and with bounded memory."""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from holdfast.storage.contract import Buffer
from holdfast.vault.format import crypto, names
from holdfast.vault.packs import layout
from holdfast.vault.packs.layout import FrameEntry
from holdfast.vault.packs.table import PackTable


class Placed(NamedTuple):
    """Where a frame went: the pack's number in the session's table, the frame's offset, its length with header."""

    pack: int
    frame: int
    whole: int


@dataclass(frozen=True, slots=True)
class Finished:
    """A pack that is durable in every location of the session."""

    number: int
    id: bytes
    digest: bytes
    size: int
    kind: str
    frames: Sequence[FrameEntry]


@dataclass(frozen=True, slots=True)
class Sealing:
    """What a pack is sealed and signed with. ``recipients``: X25519 public keys that may read it."""

    vault: bytes
    scope: str
    epoch: int
    writer: str
    sign_private: bytes = field(repr=False)
    recipients: Sequence[bytes]
    random: crypto.Random


@dataclass(slots=True)
class _Open:
    number: int
    id: bytes
    key: bytes
    cipher: AESGCM
    buffer: bytearray
    view: memoryview
    offset: int
    frames: list[FrameEntry] = field(default_factory=list)
    chunks: int = 0
    busy: int = 0
    closed: bool = False


class PackSink:
    """``put`` stores in all locations, durably; ``done`` hears of each stored pack, in any order, from an uploader's thread.

    Memory is ``buffers`` times ``target``: ``append`` waits when all are full and none is stored yet. The first failure of a store is
    raised from every later call.
    """

    def __init__(
        self,
        kind: str,
        sealing: Sealing,
        table: PackTable,
        put: Callable[[str, Sequence[Buffer]], None],
        done: Callable[[Finished], None],
        *,
        failed: Callable[[BaseException], None],
        target: int = layout.TARGET,
        buffers: int = 4,
        uploaders: int = 2,
    ) -> None:
        self._kind = kind
        self._sealing = sealing
        self._table = table
        self._put = put
        self._done = done
        self._failed = failed
        self._target = target
        self._spare = buffers
        self._free: list[bytearray] = []
        self._open: _Open | None = None
        self._ready: deque[_Open] = deque()
        self._uploading = 0
        self._closing = 0
        self._wanted_uploaders = uploaders
        self._threads: list[threading.Thread] = []
        self._error: BaseException | None = None
        self._stopped = False
        self._changed = threading.Condition()
        self.stored = 0

    def append(self, body: Buffer, plain_length: int, codec: int, ids: bytes, lengths: Sequence[int]) -> Placed:
        """Encrypt one frame into the pack under construction. ``body`` is what ``codec`` made of the plain bytes."""
        need = layout.HEAD_BYTES + len(body) + layout.TAG
        with self._changed:
            pack = self._room(need, len(lengths))
            offset, frame = pack.offset, len(pack.frames)
            pack.offset += need
            pack.chunks += len(lengths)
            pack.busy += 1
            pack.frames.append(FrameEntry(offset, len(body) + layout.TAG, ids, lengths))
        try:
            head = layout.FRAME_HEAD.pack(layout.FRAME_MAGIC, frame, plain_length, len(body) + layout.TAG, codec)
            body_at = offset + layout.HEAD_BYTES
            pack.view[offset:body_at] = head
            ad = layout.frame_ad(self._sealing.vault, pack.id, head)
            pack.cipher.encrypt_into(layout.frame_nonce(frame), body, ad, pack.view[body_at : offset + need])
        finally:
            with self._changed:
                pack.busy -= 1
                if pack.closed and not pack.busy:
                    self._closing -= 1
                    self._hand_over(pack)
        return Placed(pack.number, offset, need)

    def drain(self) -> None:
        """Close the pack under construction and wait until every pack is durable."""
        with self._changed:
            self._close_open()
            while self._error is None and (self._ready or self._uploading or self._closing):
                self._changed.wait()
            self._raise()

    def stop(self, error: BaseException | None = None) -> None:
        """End the threads; packs not yet stored are forgotten."""
        with self._changed:
            self._stopped = True
            if error is not None and self._error is None:
                self._error = error
            self._changed.notify_all()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()
        # What ended may lie in cycles of references until Python collects: its buffers are not to wait for that.
        with self._changed:
            self._open = None
            self._ready.clear()
            self._free.clear()

    def _room(self, need: int, chunks: int) -> _Open:
        while True:
            self._raise()
            pack = self._open
            if pack is not None and pack.offset + need <= self._target and pack.chunks + chunks <= layout.MAX_CHUNKS:
                return pack
            if pack is not None and pack.frames:
                self._close_open()
                continue
            if pack is not None:
                raise ValueError(f"a frame of {need} bytes fits into no pack of {self._target}")
            if self._free or self._spare:
                self._open = self._begin()
            else:
                self._changed.wait()

    def _begin(self) -> _Open:
        if self._free:
            buffer = self._free.pop()
        else:
            self._spare -= 1
            buffer = bytearray(self._target)
        sealing = self._sealing
        pack_id, key = sealing.random(16), sealing.random(32)
        boxes: Mapping[bytes, bytes] = {crypto.recipient(public): crypto.box(key, public, sealing.random) for public in sealing.recipients}
        head = layout.pack_header(sealing.vault, pack_id, self._kind, sealing.scope, sealing.epoch, sealing.writer, boxes)
        buffer[: len(head)] = head
        number = self._table.number(pack_id)
        return _Open(number, pack_id, key, crypto.cipher(key), buffer, memoryview(buffer), len(head))

    def _close_open(self) -> None:
        pack, self._open = self._open, None
        if pack is None:
            return
        pack.closed = True
        if not pack.frames:
            self._release(pack)
        elif not pack.busy:
            self._hand_over(pack)
        else:
            self._closing += 1

    def _hand_over(self, pack: _Open) -> None:
        self._ready.append(pack)
        if len(self._threads) < self._wanted_uploaders:
            thread = threading.Thread(target=self._upload, name=f"holdfast-upload-{self._kind}-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._changed.notify_all()

    def _release(self, pack: _Open) -> None:
        pack.view.release()
        self._free.append(pack.buffer)
        self._changed.notify_all()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error
        if self._stopped:
            raise RuntimeError("the sink was stopped")

    def _upload(self) -> None:
        while True:
            with self._changed:
                while not self._ready and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return
                pack = self._ready.popleft()
                self._uploading += 1
            try:
                finished = self._store(pack)
                self._done(finished)
            except BaseException as error:  # noqa: BLE001 - handed to whoever waits for the packs
                with self._changed:
                    self._error = self._error or error
                    self._uploading -= 1
                    self._changed.notify_all()
                self._failed(error)
                return
            with self._changed:
                self.stored += finished.size
                self._uploading -= 1
                self._release(pack)

    def _store(self, pack: _Open) -> Finished:
        sealing = self._sealing
        plain = layout.encode_trailer(pack.frames)
        trailer = pack.cipher.encrypt(layout.trailer_nonce(len(pack.frames)), plain, layout.trailer_ad(sealing.vault, pack.id))
        hasher = blake3.blake3(max_threads=1)
        body = pack.view[: pack.offset]
        hasher.update(body)
        hasher.update(trailer)
        signature = crypto.sign(sealing.sign_private, layout.pack_message(sealing.vault, pack.id, hasher.digest()))
        footer = layout.FOOTER.pack(pack.offset, len(trailer), signature, layout.END)
        hasher.update(footer)
        digest = hasher.digest()
        self._put(names.pack(pack.id, digest), [body, trailer, footer])
        size = pack.offset + len(trailer) + len(footer)
        body.release()
        self._table.finished(pack.number, digest)
        return Finished(pack.number, pack.id, digest, size, self._kind, pack.frames)
