"""``holdfast vault serve``: speaks ``storage.served.wire`` on standard input and output, or on a socket until it is stopped."""

import threading
from pathlib import Path
from typing import Annotated

from holdfast.errors import Usage
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option


class BadMode(Usage):
    """The mode of a socket is three octal digits."""

    code = "bad-mode"


class Mode:
    """Of a file: three octal digits."""

    def __init__(self, text: str) -> None:
        try:
            self.value = int(text, 8)
        except ValueError:
            self.value = -1
        if len(text) != 3 or not 0 <= self.value <= 0o777:
            raise BadMode(f"'{text}' is no mode of a socket.", hint="Write three octal digits: 660 lets the socket's group connect.")


def command(
    session: Session,
    folder: Annotated[Path, Argument("the folder to serve; it belongs to this account alone", "FOLDER")],
    *,
    socket: Annotated[
        Path | None, Option("serve on this Unix socket until stopped; else on standard input and output", metavar="PATH")
    ] = None,
    mode: Annotated[Mode | None, Option("of the socket: who may connect (660)", metavar="OCTAL")] = None,
) -> None:
    """Serve a folder append-only to another account, over a Unix socket or as ssh's forced command. Needs no plan and no key.

    The other account adds and reads; it removes and changes nothing. Prune, check and manage keys here, on the folder itself.
    """
    from holdfast.storage.local import LocalStorage
    from holdfast.storage.served.server import serve_socket, serve_stdio

    storage = LocalStorage(str(folder.absolute()), create=True)
    if socket is None:
        serve_stdio(storage)
        return
    session.out.note(f"Serving {storage.root} append-only on {socket}. Press Ctrl-C to stop.")
    stop = threading.Event()
    try:
        serve_socket(storage, socket, mode.value if mode else 0o660, stop=stop)
    except KeyboardInterrupt:
        session.out.note("Stopped.")
