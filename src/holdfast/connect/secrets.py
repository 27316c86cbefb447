"""Reads the secrets that the plan refers to. Errors name the reference, never the value."""

import os
import shlex
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from holdfast.connect.hsm import Hsm
from holdfast.errors import Usage
from holdfast.plan.values.secret import Address, KeyRef, SecretRef

LIMIT_S = 30.0  # a command that asks a person would wait for ever

Launch = Callable[[Sequence[str], float], "subprocess.CompletedProcess[bytes]"]


class SecretUnavailable(Usage):
    """A secret could not be read where the plan says it is kept."""

    code = "secret-unavailable"


def _launch(command: Sequence[str], limit: float) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(list(command), stdin=subprocess.DEVNULL, capture_output=True, timeout=limit, check=False)


def resolve(ref: SecretRef, *, base: Path | None = None, environ: Mapping[str, str] | None = None, launch: Launch = _launch) -> str:
    """The secret's text, without one trailing newline. A literal ``Address`` is returned as it is.

    ``base``: the folder that a relative file is taken from (the plan's). A command gets no input and LIMIT_S seconds.
    Raises SecretUnavailable.
    """
    if isinstance(ref, Address) and ref.literal is not None:
        return ref.literal
    if ref.env is not None:
        value = (os.environ if environ is None else environ).get(ref.env)
        if value is None:
            raise _unavailable(ref, "it is not set", f"export {ref.env}=… in the environment that runs holdfast")
    elif ref.file is not None:
        value = _from_file(ref, (base or Path()) / Path(ref.file).expanduser())
    else:
        value = _from_command(ref, launch)
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise _unavailable(ref, "it is empty", "put the secret there")
    return value


def resolve_key(
    ref: KeyRef, *, base: Path | None = None, environ: Mapping[str, str] | None = None, launch: Launch = _launch
) -> "str | Hsm":
    """What opens the vault: a secret's text, or the key in a device, whose PIN is resolved when it is needed. Raises SecretUnavailable."""
    held = ref.kms
    if held is None:
        return resolve(ref, base=base, environ=environ, launch=launch)
    return Hsm(held.pkcs11, held.token, held.key, lambda: resolve(held.pin, base=base, environ=environ, launch=launch))


def _from_file(ref: SecretRef, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise _unavailable(ref, error.strerror or "it cannot be read", "check that it exists and that this user may read it") from error
    except UnicodeDecodeError:
        # No 'from': the decoder's error carries the bytes.
        raise _unavailable(ref, "it is not UTF-8 text", "store the secret as text") from None


def _from_command(ref: SecretRef, launch: Launch) -> str:
    try:
        words = shlex.split(ref.command) if isinstance(ref.command, str) else list(ref.command or ())
        done = launch(words, LIMIT_S)
    except subprocess.TimeoutExpired:
        raise _unavailable(ref, f"it did not end within {LIMIT_S:.0f} s", "it gets no input: it must not ask for anything") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "its quoting is wrong"
        raise _unavailable(ref, reason or "it cannot be started", "check the command and that this user may run it") from None
    if done.returncode != 0:
        raise _unavailable(ref, f"it ended with status {done.returncode}", "run it by hand to see why (its output is not shown here)")
    try:
        return done.stdout.decode()
    except UnicodeDecodeError:
        raise _unavailable(ref, "it did not print UTF-8 text", "make it print the secret alone") from None


def _unavailable(ref: SecretRef, why: str, hint: str) -> SecretUnavailable:
    return SecretUnavailable(f"The secret from {ref} cannot be read: {why}.", hint=hint[:1].upper() + hint[1:] + ".", reference=str(ref))
