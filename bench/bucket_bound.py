"""The bound that buckets are measured against: the least work that any honest capture and restore of objects must do.

    bucket_bound.py capture ENDPOINT BUCKET OUT      16 threads of obstore get, BLAKE3, AES-256-GCM, one file, fsync
    bucket_bound.py restore ENDPOINT BUCKET OUT      the same file, decrypted and verified, put by 16 threads of obstore

One line of JSON on stdout. Credentials by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. Objects are held whole: not for large ones. No
metadata, no tags, no index, no compression, nothing is remembered: a real backup does more.
"""

import json
import os
import pickle
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import blake3
import obstore
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from obstore.store import S3Store

KEY = bytes(32)
THREADS = 16


def capture(store: S3Store, out: Path) -> int:
    cipher, lock = AESGCM(KEY), threading.Lock()
    rows: list[tuple[str, int, int, bytes]] = []
    with out.open("wb") as file:

        def one(key: str) -> int:
            data = memoryview(obstore.get(store, key).bytes())
            name = blake3.blake3(data).digest()
            sealed = cipher.encrypt(name[:12], data, None)
            with lock:
                rows.append((key, file.tell(), len(sealed), name))
                file.write(sealed)
            return len(data)

        with ThreadPoolExecutor(THREADS) as pool:
            size = sum(pool.map(one, [meta["path"] for page in obstore.list(store) for meta in page]))
        file.flush()
        os.fsync(file.fileno())
    out.with_suffix(".rows").write_bytes(pickle.dumps(rows))
    return size


def restore(store: S3Store, out: Path) -> int:
    cipher = AESGCM(KEY)
    rows = pickle.loads(out.with_suffix(".rows").read_bytes())
    with out.open("rb") as file:

        def one(row: tuple[str, int, int, bytes]) -> int:
            key, at, length, name = row
            data = cipher.decrypt(name[:12], os.pread(file.fileno(), length, at), None)
            if blake3.blake3(data).digest() != name:
                raise ValueError(key)
            obstore.put(store, key, data, use_multipart=False)
            return len(data)

        with ThreadPoolExecutor(THREADS) as pool:
            return sum(pool.map(one, rows))


def main() -> None:
    verb, endpoint, bucket, out = sys.argv[1:]
    config = {"endpoint": endpoint, "region": "us-east-1", "virtual_hosted_style_request": False}
    store = S3Store(bucket, config=config, client_options={"allow_http": True})
    began, before = time.perf_counter(), sum(os.times()[:2])
    size = {"capture": capture, "restore": restore}[verb](store, Path(out))
    seconds, cpu = time.perf_counter() - began, sum(os.times()[:2]) - before
    print(json.dumps({"bytes": size, "seconds": seconds, "cpu_seconds": cpu}))


if __name__ == "__main__":
    main()
