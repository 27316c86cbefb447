"""Values that depend on this machine: a port, memory, where the socket may lie."""

import os
import re
import socket
from pathlib import Path

from holdfast.systems.postgres.running.instance import PORT, SOCKET_PATH_LIMIT

_UNITS = {"kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40, "8kb": 8 << 10, "": 8 << 10}


def choose_port(wanted: int | None, source: str | None) -> int:
    """The port asked for; else the source's or the next one that is free on loopback, since source and copy may share a machine."""
    if wanted:
        return wanted
    first = int(source) if source and source.isdigit() else PORT
    for port in range(first, min(first + 200, 65536)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    return first


def size(text: str) -> int | None:
    """Bytes of a memory setting: '128MB', '16384' (pages of 8 KiB), '16384 8kB'."""
    match = re.fullmatch(r"\s*(\d+)\s*(8kB|[kMGT]B)?\s*", text, re.IGNORECASE)
    return int(match[1]) * _UNITS[(match[2] or "").lower()] if match else None


def choose_shared_buffers(source: str | None) -> int:
    """Bytes: the source's, at most an eighth of this machine's memory, at least 16 MiB."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    wanted = (size(source) if source else None) or 128 << 20
    return max(16 << 20, min(wanted, memory // 8))


def socket_rule(data: Path) -> tuple[str, str]:
    """(folder for the Unix socket, authentication through it). The data directory is private (0700), so whoever reaches a socket in it owns
    the data anyway; where its path is too long for a socket there is none.
    """
    fits = len(os.fsencode(data / ".s.PGSQL.65535.lock")) <= SOCKET_PATH_LIMIT
    return (str(data) if fits else "", "trust" if fits else "peer")
