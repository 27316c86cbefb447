"""What happens when a server that a test needs is not there: seen as a skip at home, a failure where CI is set."""

import contextlib
import os
from collections.abc import Iterator

import pytest


class ServerMissing(RuntimeError):
    """A server's programs are not on this machine; the message says how to get them."""


@contextlib.contextmanager
def need() -> Iterator[None]:
    """Turns ServerMissing inside the block into a skip, or into a failure where CI is set."""
    try:
        yield
    except ServerMissing as missing:
        if os.environ.get("CI", "").lower() not in ("", "0", "false"):
            pytest.fail(f"{missing} (CI is set, so a missing server fails)", pytrace=False)
        pytest.skip(str(missing))
