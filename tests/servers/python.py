"""Holdfast as a program that the servers' account can run: what a PostgreSQL server calls by its commands runs as that account."""

import atexit
import shutil
import sys
import sysconfig
from functools import cache
from pathlib import Path

from tests.servers.account import server_folder, service_account
from tests.servers.need import ServerMissing


@cache
def python_for_account() -> tuple[Path, dict[str, str]]:
    """An interpreter of our version that the account can run, and what it needs in its environment to import what we import.

    Our own, unless it lies in a private home; then the system's of the same version. Raises ServerMissing.
    """
    account = service_account()
    if account.can_run(Path(sys.executable)):
        return Path(sys.executable), {}
    version = f"python3.{sys.version_info.minor}"
    for folder in ("/usr/bin", "/usr/local/bin"):
        found = shutil.which(version, path=folder)
        if found and account.can_run(Path(found)):
            source = Path(__file__).resolve().parents[2] / "src"
            path = ":".join(dict.fromkeys((str(source), sysconfig.get_path("purelib"), sysconfig.get_path("platlib"))))
            return Path(found), {"PYTHONPATH": path, "PYTHONPYCACHEPREFIX": str(_bytecode())}
    raise ServerMissing(f"the account {account.name} can run neither {sys.executable} nor a {version} of the system")


@cache
def _bytecode() -> Path:
    """A folder for compiled modules: the account may not write beside ours, and would compile them anew at each start."""
    folder = server_folder("pyc", keep=True)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def holdfast_for_account() -> tuple[list[str], dict[str, str]]:
    """The command line's first words, and additions to the environment, that run ``holdfast`` as the servers' account."""
    python, environment = python_for_account()
    return [str(python), "-m", "holdfast.interfaces.cli.main"], environment
