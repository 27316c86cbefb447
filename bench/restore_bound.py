"""The bound that restores of trees are measured against: the least work that any honest restore must do.

    restore_bound.py pack TREE OUT           not timed: frames of up to 1 MiB (zstd 1, AES-256-GCM), and their list
    restore_bound.py restore OUT INTO        one line of JSON on stdout

Folders are made; then two threads read frames, decrypt and decompress them, verify each file's BLAKE3, write the files, and one sync at
the end makes all of it durable. No owners, modes or times, no index, no key derivation: a real restore does more.
"""

import json
import os
import pickle
import queue
import sys
import threading
import time
from pathlib import Path

import blake3
import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

RUN = 1 << 20
KEY = bytes(32)
THREADS = 2


def pack(tree: str, out: str) -> None:
    """A frame holds [(path, offset in the file, bytes, BLAKE3 of the piece)], one large piece or many small files."""
    cipher, compressor = AESGCM(KEY), zstandard.ZstdCompressor(level=1)
    frames, pieces, size, at = [], [], 0, 0
    with Path(out).open("wb") as handle:

        def flush() -> None:
            nonlocal pieces, size, at
            if pieces:
                sealed = cipher.encrypt(len(frames).to_bytes(12, "big"), compressor.compress(b"".join(data for *_, data in pieces)), None)
                handle.write(sealed)
                frames.append((at, len(sealed), [(path, offset, len(data), blake3.blake3(data).digest()) for path, offset, data in pieces]))
                at += len(sealed)
                pieces, size = [], 0

        for folder, _, names in os.walk(tree):
            for name in names:
                path = f"{folder}/{name}"
                with Path(path).open("rb") as source:
                    offset = 0
                    while (data := source.read(RUN)) or not offset:
                        if size + len(data) > RUN:
                            flush()
                        pieces.append((os.path.relpath(path, tree), offset, data))
                        size += len(data)
                        offset += len(data)
                        if not data:
                            break
        flush()
    Path(f"{out}.list").write_bytes(pickle.dumps(frames))


def restore(out: str, into: str) -> dict[str, float]:
    frames = pickle.loads(Path(f"{out}.list").read_bytes())
    began = time.perf_counter()
    waiting: queue.SimpleQueue = queue.SimpleQueue()
    made = set()
    for frame in frames:
        for path, *_ in frame[2]:
            folder = path.rpartition("/")[0]
            if folder not in made:
                Path(into, folder).mkdir(parents=True, exist_ok=True)
                made.add(folder)
        waiting.put(frame)
    for _ in range(THREADS):
        waiting.put(None)
    source = os.open(out, os.O_RDONLY)
    numbers = {frame[0]: number for number, frame in enumerate(frames)}
    totals = [0] * THREADS

    def work(thread: int) -> None:
        cipher, expander = AESGCM(KEY), zstandard.ZstdDecompressor()
        while (frame := waiting.get()) is not None:
            at, length, pieces = frame
            plain = memoryview(expander.decompress(cipher.decrypt(numbers[at].to_bytes(12, "big"), os.pread(source, length, at), None)))
            begin = 0
            for path, offset, size, digest in pieces:
                data = plain[begin : begin + size]
                begin += size
                if blake3.blake3(data).digest() != digest:
                    raise SystemExit(f"{path} came back different")
                fd = os.open(f"{into}/{path}", os.O_WRONLY | os.O_CREAT, 0o600)
                os.pwrite(fd, data, offset)
                os.close(fd)
                totals[thread] += size

    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.sync()
    seconds = time.perf_counter() - began
    return {"seconds": round(seconds, 3), "cpu_seconds": round(sum(os.times()[:2]), 2), "bytes": sum(totals)}


if __name__ == "__main__":
    if sys.argv[1] == "pack":
        pack(*sys.argv[2:])
    else:
        print(json.dumps(restore(*sys.argv[2:])))
