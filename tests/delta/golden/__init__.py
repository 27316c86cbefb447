"""Delta tables that a real Spark wrote (make.py, run by hand): archives, with the rows of every version as the same Spark read them."""

import json
import os
import tarfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MADE_AT = "/tmp/hf-delta-golden"
"""Where the tables were made: the log of a shallow clone names it. Unpacking puts the new place there."""


def names() -> list[str]:
    """All of them, sorted. Beside a table ``NAME``, an archive may hold a ``NAME-source`` (clones) or ``NAME-checkpoint`` (streams)."""
    return sorted(one.name.removesuffix(".tar.xz") for one in HERE.glob("*.tar.xz"))


def unpack(name: str, into: Path) -> Path:
    """Lays the table down as ``into/NAME`` and returns that. Modification times are those of the writing."""
    with tarfile.open(HERE / f"{name}.tar.xz") as archive:
        archive.extractall(into, filter="tar")
    for written in sorted((*into.glob(f"{name}*/_delta_log/*.json"), *into.glob(f"{name}*/_delta_log/*.crc"))):
        _replace(written, MADE_AT.encode(), str(into.absolute()).encode())
    for checkpoint in sorted(into.glob(f"{name}*/_delta_log/*.checkpoint.*parquet")):
        if MADE_AT.encode() in checkpoint.read_bytes():
            # Absolute paths inside Parquet (a clone's first checkpoint): the table is whole without it.
            checkpoint.unlink()
            (checkpoint.parent / "_last_checkpoint").unlink()
    return into / name


def expected(name: str) -> dict[str, Any]:
    """``versions`` {version: {"columns", "rows"}} as tests.servers.spark_session.plain writes values, rows sorted by their JSON text;
    ``features`` {"reader", "writer", "names"} of the newest; ``operations`` {version: name}; ``txn`` {appId: version} of the newest.
    """
    return json.loads((HERE / f"{name}.json").read_text("utf-8"))


def _replace(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    if old in content:
        kept = path.stat()
        path.write_bytes(content.replace(old, new))
        os.utime(path, ns=(kept.st_atime_ns, kept.st_mtime_ns))
