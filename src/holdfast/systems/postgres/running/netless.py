"""A server without a network: what its data tells it to call (foreign servers, dblink, extensions' workers) it cannot reach.

By a network namespace of its own (unshare(1), Linux), which an account may make inside a user namespace of its own. Sockets in the file
system are not of any network: the copy is reached by one.
"""

import functools
import shutil
import subprocess

from holdfast.systems.postgres.running.binaries import Account

WORDS = ("unshare", "--user", "--map-current-user", "--net", "--")


def words(who: Account) -> list[str]:
    """What a server's command begins with; [] where this machine allows no such thing."""
    return list(WORDS) if _allowed(who) else []


@functools.lru_cache(maxsize=8)
def _allowed(who: Account) -> bool:
    if shutil.which(WORDS[0]) is None or shutil.which("true") is None:
        return False
    try:
        done = subprocess.run([*WORDS, "true"], cwd="/", capture_output=True, check=False, timeout=60, **who.popen)
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
