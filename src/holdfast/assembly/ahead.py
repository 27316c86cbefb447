"""Imports while a key is derived.

A backup of nothing new takes a second and a half, and a quarter of that is importing drivers. Deriving a key from a passphrase takes a
sixth of a second and leaves the interpreter free for it.
"""

import contextlib
import importlib
from collections.abc import Iterable

from holdfast.vault.keys.stretching import meanwhile

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
    """While the next passphrase becomes a key, import what ``work`` (backup, restore, status) on systems of these kinds is going to need.
    What failed is imported again by whoever needs it, who gets the error.
    """
    own = (name for kind in kinds for name in _MODULES.get((kind, work), ()))
    names = tuple(dict.fromkeys((*_ANY.get(work, ()), *own)))

    def run() -> None:
        for name in names:
            with contextlib.suppress(Exception):
                importlib.import_module(name)

    meanwhile(run)
