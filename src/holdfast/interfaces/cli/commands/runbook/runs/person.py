"""Who sits at the keyboard."""

import os
import pwd
import socket

from holdfast.runbooks.engine.people import Person


def person(name: str | None) -> Person:
    """``name``, else $HOLDFAST_PERSON, else the account; behind sudo the account that called it."""
    account = _account()
    return Person(name or os.environ.get("HOLDFAST_PERSON") or account, account, socket.gethostname())


def _account() -> str:
    if os.getuid() == 0 and (caller := os.environ.get("SUDO_USER")):
        return caller
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
