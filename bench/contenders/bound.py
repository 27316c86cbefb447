"""The bound: the least work that any honest backup must do. A script kept apart, run unedited and found by BOUND."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from bench.measure import Run, run
from tests.servers import Account, ServerMissing, service_account
from tests.servers.account import server_folder

ROOT = Path(__file__).resolve().parents[2]


def shared(variable: str, name: str) -> Path:
    """A file of the benchmark that lies beside the checkout, or where the variable says. Raises ServerMissing."""
    path = Path(os.environ.get(variable) or ROOT.parent / "shared" / name)
    if not path.exists():
        raise ServerMissing(f"{name} is neither at {path} nor where {variable} says")
    return path


class Bound:
    name = "bound"

    def __init__(self, data: Path) -> None:
        self.script = shared("BOUND", "bound.py")
        self.data = data
        self.home = server_folder("bound")

    def full(self) -> Run:
        """Reads, checks, hashes, compresses, encrypts and writes every file once. Its own clock counts: start-up apart."""
        me = Account(name="self", uid=os.geteuid(), gid=os.getegid(), switch=False)
        account = me if service_account().switch else service_account()
        done = run(
            [sys.executable, self.script, self.data, self.home / "out", "--pages", "--level", "1", "--threads", "2"], account, self.home
        )
        said = json.loads(done.output.strip().splitlines()[-1])
        return replace(done, seconds=said["seconds"], cpu=said["cpu_seconds"])
