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
_FILES = ("holdfast.vault.restore.reader",)
_DELTA = ("holdfast.vault.restore.reader", "holdfast.connect.objects.s3")
_MODULES = {
    ("postgres", "backup"): _CAPTURE,
    ("postgres", "restore"): _RESTORE,
    ("bucket", "backup"): (*_BUCKET, "holdfast.vault.capture.writer", "holdfast.systems.bucket.system"),
    ("bucket", "restore"): (*_BUCKET, "holdfast.systems.bucket.recovery"),
    ("delta", "backup"): (*_DELTA, "holdfast.vault.capture.writer", "holdfast.systems.delta.system"),
    ("delta", "restore"): (*_DELTA, "holdfast.systems.delta.recovery"),
    ("files", "backup"): (*_FILES, "holdfast.vault.capture.writer", "holdfast.systems.files.system", "holdfast.vault.logs.store"),
    ("files", "restore"): (*_FILES, "holdfast.systems.files.recovery", "holdfast.systems.files.restore.run"),
}
_ANY = {
    "backup": ("holdfast.protection.backup",),
    "restore": ("holdfast.recovery", "holdfast.protection.measured", "holdfast.protection.recorded"),
    "status": (
        "holdfast.protection.status",
        "holdfast.protection.collect",
        "holdfast.drills.findings",
        "holdfast.drills.history",
        "holdfast.assembly.incidents",
        "holdfast.incidents.view",
    ),
}
"""Whatever the kinds are."""


def import_ahead(kinds: Iterable[str], work: str) -> None:
    """Begin to import what ``work`` (backup, restore, status) on systems of these kinds is going to need. Whoever needs it then waits, or
    imports what failed here again and gets the error.
    """
    own = (name for kind in kinds for name in _MODULES.get((kind, work), ()))
    names = tuple(dict.fromkeys((*_ANY.get(work, ()), *own)))

    def run() -> None:
        for name in names:
            with contextlib.suppress(Exception):
                importlib.import_module(name)

    if names:
        # The vault's package and its modules import each other. Of two threads that meet in such a circle one is given half a module: so
        # the circle is closed before there are two.
        importlib.import_module("holdfast.vault")
        importlib.import_module("holdfast.vault.logs")  # a circle of its own
        threading.Thread(target=run, name="imports", daemon=True).start()
