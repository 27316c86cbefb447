"""Imports begun beside other work.

A backup of nothing new takes a second and a half, and a quarter of that is importing drivers. Opening a vault meanwhile derives a key, and
reading slots waits for a disk or a network: both leave the interpreter free for it.
"""

import contextlib
import importlib
import threading
from collections.abc import Iterable

_CAPTURE = ("holdfast.vault.restore.reader", "holdfast.systems.postgres.system", "psycopg", "holdfast.systems.postgres.capture.inplace")
_RESTORE = ("holdfast.vault.restore.reader", "holdfast.systems.postgres.recovery", "holdfast.systems.postgres.restore.run")
_BUCKET = ("holdfast.vault.restore.reader", "holdfast.connect.objects.s3")
_MODULES = {
    ("postgres", "backup"): _CAPTURE,
    ("postgres", "restore"): _RESTORE,
    ("bucket", "backup"): (*_BUCKET, "holdfast.vault.capture.writer", "holdfast.systems.bucket.system"),
    ("bucket", "restore"): (*_BUCKET, "holdfast.systems.bucket.recovery"),
}


def import_ahead(kinds: Iterable[str], work: str) -> None:
    """Begin to import what ``work`` (backup, restore) on systems of these kinds is going to need. Whoever needs it then waits, or imports
    what failed here again and gets the error.
    """
    names = tuple(dict.fromkeys(name for kind in kinds for name in _MODULES.get((kind, work), ())))

    def run() -> None:
        for name in names:
            with contextlib.suppress(Exception):
                importlib.import_module(name)

    if names:
        threading.Thread(target=run, name="imports", daemon=True).start()
