"""Trees as Hypothesis draws them: every kind of entry, odd names, all attributes."""

import os
import socket
import stat
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from tests.files.kit import ROOT

ODD = [
    b"plain",
    b"Plain",
    b"PLAIN",
    "caf\u00e9".encode(),
    "cafe\u0301".encode(),
    b"\xff\xfe",
    b"new\nline",
    b"tab\t",
    b" ",
    b"a",
    b"a.b",
    b"a-b",
    b"ab",
    b"-rf",
    b"'\"",
    b"\\",
    b"*?[x]",
    b"\x01\x1b[2J",
    "\U0001f600".encode(),
    b"x" * 255,
]
names = st.one_of(
    st.sampled_from(ODD),
    st.binary(min_size=1, max_size=6).filter(lambda name: b"/" not in name and b"\0" not in name and name not in (b".", b"..")),
)
times = st.integers(-(2**31) * 10**9, 2**33 * 10**9)
"""ns: from 1901 to 2242."""
owners = st.tuples(st.sampled_from([0, 1, 1000, 65534, 2_000_000_000]), st.sampled_from([0, 5, 1000, 65534])) if ROOT else st.none()
content = st.one_of(
    st.binary(max_size=200),
    st.tuples(st.integers(0, 3 << 20), st.integers(0, 255)).map(lambda pair: bytes([pair[1]]) * pair[0]),
    st.integers(1, 400_000).map(lambda size: (b"%d," % size) * (size // 8 + 1)),
)
ranges = st.lists(st.tuples(st.integers(0, 600), st.integers(1, 40)), min_size=0, max_size=4)
"""Pages of 4 KiB with data, of a sparse file."""
attributes = st.dictionaries(st.sampled_from(["user.a", "user.long-name", "user.\u00e4"]), st.binary(max_size=60), max_size=2)


def acl(named: int, bits: int) -> bytes:
    """A POSIX ACL as the kernel keeps it (linux/posix_acl_xattr.h): owner, one named user, group, mask, others."""
    # Without its x an ordinary owner sees nothing in a folder of his own.
    entries = [(1, 6 if ROOT else 7, 0xFFFFFFFF), (2, bits, named), (4, 4, 0xFFFFFFFF), (16, 7, 0xFFFFFFFF), (32, 0, 0xFFFFFFFF)]
    return (2).to_bytes(4, "little") + b"".join(
        tag.to_bytes(2, "little") + perm.to_bytes(2, "little") + who.to_bytes(4, "little") for tag, perm, who in entries
    )


@st.composite
def entries(draw: Any, depth: int = 3) -> dict[str, Any]:
    kind = draw(st.sampled_from(["file", "file", "file", "dir", "dir", "symlink", "sparse", "hard", "fifo", "socket", "device"]))
    if kind == "dir" and not depth:
        kind = "file"
    made: dict[str, Any] = {"kind": kind, "time": draw(times), "owner": draw(owners), "mode": draw(st.integers(0, 0o7777))}
    if kind == "file":
        made["content"] = draw(content)
    elif kind == "sparse":
        made["size"], made["ranges"] = draw(st.integers(1, 2_500_000)), draw(ranges)
    elif kind == "symlink":
        made["target"] = draw(st.sampled_from([b"/etc/passwd", b"../up", b"nowhere", b"\xff", b"a b\n", b"x" * 300]))
    elif kind == "dir":
        made["below"] = draw(st.dictionaries(names, entries(depth - 1), max_size=5))
    if kind in ("file", "sparse", "dir"):
        made["attributes"] = draw(attributes)
        made["acl"] = draw(st.none() | st.tuples(st.sampled_from([1, 1000]), st.integers(0, 7)))
        made["default"] = kind == "dir" and draw(st.booleans())
    return made


trees = st.dictionaries(names, entries(), max_size=8)


def build(top: bytes, tree: dict[bytes, Any]) -> None:
    """Write a tree into an empty folder; folders are dressed last, as one that was filled long ago."""
    files: list[bytes] = []
    _fill(top, tree, files)
    os.utime(top, ns=(1, 1_234_567_890_123_456_789))


def _fill(folder: bytes, tree: dict[bytes, Any], files: list[bytes]) -> None:
    for name, one in tree.items():
        path = os.path.join(folder, name)
        kind = one["kind"]
        if kind == "hard":
            if not files:
                continue
            os.link(files[0], path)
            continue
        if kind == "file":
            Path(os.fsdecode(path)).write_bytes(one["content"])
            files.append(path)
        elif kind == "sparse":
            _sparse(path, one["size"], one["ranges"])
            files.append(path)
        elif kind == "dir":
            os.mkdir(path)
            _fill(path, one["below"], files)
        elif kind == "symlink":
            os.symlink(one["target"], path)
        elif kind == "fifo":
            os.mkfifo(path)
        elif kind == "socket":
            with socket.socket(socket.AF_UNIX) as listening:
                bound = os.open(folder, os.O_RDONLY)
                listening.bind(f"/proc/self/fd/{bound}/".encode() + b"s")
                os.close(bound)
            os.unlink(os.path.join(folder, b"s")) if os.path.lexists(path) else os.rename(os.path.join(folder, b"s"), path)
        elif ROOT:
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        else:
            continue
        _dress(path, one)


def _sparse(path: bytes, size: int, pages: list[tuple[int, int]]) -> None:
    with Path(os.fsdecode(path)).open("wb") as file:
        file.truncate(size)
        for first, count in pages:
            start, end = first * 4096, min(size, (first + count) * 4096)
            if start < end:
                file.seek(start)
                file.write(b"d" * (end - start))


def _dress(path: bytes, one: dict[str, Any]) -> None:
    link = one["kind"] == "symlink"
    if one["owner"]:
        os.chown(path, *one["owner"], follow_symlinks=False)
    for name, value in one.get("attributes", {}).items():
        os.setxattr(path, name, value)
    if not link:
        mode = one["mode"] if ROOT else one["mode"] & 0o777 | (0o700 if one["kind"] == "dir" else 0o600)
        os.chmod(path, mode)
    if one.get("acl"):
        os.setxattr(path, "system.posix_acl_access", acl(*one["acl"]))
    if one.get("default"):
        os.setxattr(path, "system.posix_acl_default", acl(1000, 5))
    os.utime(path, ns=(1, one["time"]), follow_symlinks=False)
