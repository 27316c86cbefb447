"""One model for each kind of system, imported when a plan uses it.

All keys but ``kind`` may come from ``defaults``; ``missing()`` says which are still needed after that.
"""

import importlib
from typing import cast

from holdfast.plan.shape.systems.common import CheckSpec, SystemSpec

_HOMES = {
    "postgres": ("postgres", "PostgresSystem"),
    "mongodb": ("streams", "MongoSystem"),
    "kafka": ("streams", "KafkaSystem"),
    "bucket": ("lake", "BucketSystem"),
    "delta": ("delta", "DeltaSystem"),
    "airflow": ("pipeline", "AirflowSystem"),
    "files": ("files", "FilesSystem"),
}
KINDS = tuple(_HOMES)
AVAILABLE = frozenset({"postgres", "files", "bucket", "delta"})
"""Kinds that this version protects; the others are parsed and checked."""


def spec_of(kind: str) -> type[SystemSpec]:
    """The model of a kind in KINDS."""
    module, name = _HOMES[kind]
    return cast("type[SystemSpec]", getattr(importlib.import_module(f"{__name__}.{module}"), name))


__all__ = ["AVAILABLE", "KINDS", "CheckSpec", "SystemSpec", "spec_of"]
