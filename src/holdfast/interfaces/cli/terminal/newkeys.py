"""Keys on the command line: asked for without echo, read from where an option says, written into a new file that only its owner reads."""

import getpass
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.connect.durable import sync_folder
from holdfast.errors import Refused, Usage

if TYPE_CHECKING:
    from holdfast.connect.hsm import Hsm


class KeyCommandIncomplete(Usage):
    """Something that the key command needs was not given."""

    code = "key-command-incomplete"


class KeyFileInTheWay(Refused):
    """A file stands where a new key, or a certificate, is to be written."""

    code = "key-file-in-the-way"


def from_variable(env: str, what: str) -> str:
    """Raises KeyCommandIncomplete."""
    if env not in os.environ:
        raise KeyCommandIncomplete(f"The environment variable {env} is not set.", hint=f"Set it to the {what}, or leave --env out.")
    return os.environ[env]


def new_passphrase(env: str | None) -> str:
    """Typed twice at a terminal, or from a variable. Raises KeyCommandIncomplete."""
    if env:
        return from_variable(env, "new passphrase")
    _require_terminal("Nobody is there to type a passphrase.")
    first = getpass.getpass("New passphrase: ")
    if first != getpass.getpass("Once more: "):
        raise KeyCommandIncomplete("The two passphrases differ.", hint="Nothing was changed; try again.")
    return first


def known_key(env: str | None, file: Path | None) -> str:
    """A key that somebody has: from a variable, a file, or typed once."""
    if env:
        return from_variable(env, "key")
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").removesuffix("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise KeyCommandIncomplete(f"The key cannot be read from {file}.", hint=str(getattr(error, "strerror", "") or "")) from None
    _require_terminal("Nobody is there to type the key.")
    return getpass.getpass("Key: ")


def device(pkcs11: str | None, token: str | None, key: str | None, env: str | None) -> "Hsm":
    """A key in a security module, its PIN from a variable or typed. Raises KeyCommandIncomplete."""
    from holdfast.connect.hsm import Hsm

    if not pkcs11 or not token or not key:
        raise KeyCommandIncomplete(
            "A key in a security module has a library, a token and a label.", hint="--pkcs11 /usr/lib/….so --token LABEL --key LABEL"
        )
    pin: list[str] = []

    def ask() -> str:
        if not pin:
            if env:
                pin.append(from_variable(env, "token's PIN"))
            else:
                _require_terminal("Nobody is there to type the PIN.")
                pin.append(getpass.getpass(f"PIN of the token {token}: "))
        return pin[0]

    return Hsm(pkcs11, token, key, ask)


def write_new(path: Path, text: str) -> None:
    """A file of mode 0600 that was not there before; durable when it returns. Raises KeyFileInTheWay."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise KeyFileInTheWay(f"{path} exists, and is kept.", hint="Name a new file.") from None
    except OSError as error:
        raise KeyCommandIncomplete(f"{path} cannot be written: {error.strerror}.", hint="Name a file in a folder that is there.") from None
    sync_folder(path.parent)


def _require_terminal(message: str) -> None:
    if not sys.stdin.isatty():
        raise KeyCommandIncomplete(message, hint="Name a variable that holds it: --env NAME")
