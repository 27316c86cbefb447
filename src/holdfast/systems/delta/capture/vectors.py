"""Deletion vectors that came with a capture are read as a reader would: a damaged one is told while its table can still be mended."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from holdfast.connect.objects import Job, in_order
from holdfast.model import Finding
from holdfast.systems.delta.capture.pin import Pinned, Wanted
from holdfast.systems.delta.errors import VectorBroken
from holdfast.systems.delta.log import vectors
from holdfast.systems.delta.store import Missing, Store


def broken(store: Store, pinned: Pinned, fresh: Callable[[Wanted], bool]) -> Iterator[Finding]:
    """What is wrong with vectors in files of the table's own that are ``fresh``, and what each costs."""
    files = {one.key: one for one in pinned.vectors() if one.address is None and fresh(one)}
    users: dict[str, list[Mapping[str, Any]]] = {key: [] for key in files}
    for add in pinned.snapshot.files.values():
        descriptor = add.get("deletionVector")
        relative = vectors.relative_key(descriptor) if descriptor else None
        if relative is not None and pinned.folder + relative in users:
            users[pinned.folder + relative].append(add)
    for job in in_order(Job(key, lambda key=key: store.get(key), 1 << 20) for key in users):  # type: ignore[misc]
        try:
            data = job.result()
        except Missing:
            continue  # told as a file that is gone
        for one in users[job.what]:
            if why := _wrong(one["deletionVector"], data):
                text = f"{why} Which rows of {one['path']} are deleted is not known; by the log {one['deletionVector']['cardinality']} are."
                yield Finding(code=VectorBroken.code, message=text, where={"table": pinned.name, "path": files[job.what].path})


def _wrong(descriptor: Mapping[str, Any], data: bytes) -> str:
    try:
        vectors.rows(descriptor, data)
    except VectorBroken as error:
        return error.message
    return ""
