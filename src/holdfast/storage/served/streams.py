"""Connections as streams of exactly as many bytes as asked for."""

import contextlib
import socket
import subprocess
from typing import IO

from holdfast.storage.contract import Buffer

_PIECE = 1 << 20


class FileStream:
    """Over a pair of files: standard input and output, or a process's."""

    def __init__(self, reader: IO[bytes], writer: IO[bytes], process: "subprocess.Popen[bytes] | None" = None) -> None:
        self._reader, self._writer, self._process = reader, writer, process

    def read(self, size: int) -> bytes:
        data = self._reader.read(size)
        if len(data) != size:
            raise EOFError
        return data

    def write(self, data: Buffer) -> None:
        self._writer.write(data)

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._writer.close()
        with contextlib.suppress(OSError):
            self._reader.close()
        if self._process is not None:
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


class SocketStream:
    """Over a connected socket."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def read(self, size: int) -> bytes:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            got = self.connection.recv_into(view, min(len(view), _PIECE))
            if not got:
                raise EOFError
            view = view[got:]
        return bytes(data)

    def write(self, data: Buffer) -> None:
        self.connection.sendall(data)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.connection.close()
