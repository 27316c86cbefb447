"""Long WAL is not laid into the restored directory: the server fetches it while it recovers, by ``restore_command``.

Beside the directory's own configuration lies a recipe: which bytes of which log make up the segments, and the plan by which the vault is
opened. It holds no secret: keys stay where the plan says they are. ``holdfast wal get`` asks whoever serves the recipe's socket, and starts
``holdfast wal serve`` when nobody does.
"""

import base64
import contextlib
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from holdfast.errors import Usage
from holdfast.model import Clock
from holdfast.systems.contract import LogStore
from holdfast.systems.postgres.restore.config import HANDOVER
from holdfast.systems.postgres.restore.files import make_folder, write_file
from holdfast.systems.postgres.restore.wal import Span
from holdfast.systems.postgres.running.binaries import Account
from holdfast.systems.postgres.running.instance import environment

THRESHOLD = 1 << 30
"""Bytes of WAL that are laid into the directory; more is fetched."""
RECIPE = f"{HANDOVER}/wal.json"
SOCKET = "holdfast.wal.sock"
MISSING = 44
"""What the client exits with for a file that is proved not to be there. Python's own 1 (a module that is gone) must not look the same: to
PostgreSQL it would be the end of the log."""
FORMAT = 1
CACHE = f"{HANDOVER}/cache"
CLIENT = "holdfast.systems.postgres.walclient"
SERVE = "holdfast.interfaces.cli.main"
"""The program that opens a vault, run as a process of its own."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """A restore may leave WAL to be fetched: by ``plan``, a file, the vault of ``system`` is opened. ``python`` is what the account of the
    server runs for it.
    """

    plan: Path
    system: str
    python: str = sys.executable


class RecipeUnusable(Usage):
    """The file that says what WAL a restored directory needs cannot be read."""

    code = "wal-recipe-unusable"


@dataclass(frozen=True, slots=True)
class Recipe:
    """``plan``: the plan's file, by which ``system``'s vault is opened. ``open_ended``: later WAL is given out too, as to a standby."""

    plan: str
    system: str
    socket: str
    segment_size: int
    spans: tuple[Span, ...]
    histories: Mapping[int, bytes]
    open_ended: bool = False

    def text(self) -> str:
        document = {
            "format": FORMAT,
            "plan": self.plan,
            "system": self.system,
            "socket": self.socket,
            "segment_size": self.segment_size,
            "spans": [[one.branch, one.timeline, one.start, one.end] for one in self.spans],
            "histories": {str(timeline): base64.b64encode(content).decode() for timeline, content in self.histories.items()},
            "open_ended": self.open_ended,
        }
        return json.dumps(document, indent=1)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises RecipeUnusable."""
        try:
            told: dict[str, Any] = json.loads(path.read_text())
            if told["format"] != FORMAT:
                raise RecipeUnusable(f"{path} is of format {told['format']}; this version reads {FORMAT}.", hint="Use a newer Holdfast.")
            return cls(
                str(told["plan"]),
                str(told["system"]),
                str(told["socket"]),
                int(told["segment_size"]),
                tuple(Span(str(b), int(t), int(s), int(e)) for b, t, s, e in told["spans"]),
                {int(timeline): base64.b64decode(content) for timeline, content in told["histories"].items()},
                bool(told["open_ended"]),
            )
        except OSError as error:
            raise RecipeUnusable(f"{path} cannot be read: {error.strerror}.", hint="Restore again with --delta.") from error
        except (ValueError, KeyError, TypeError) as error:
            raise RecipeUnusable(f"{path} is no recipe: {error}", hint="Restore again with --delta.") from error


def command(data: Path, python: str) -> str:
    """For ``restore_command``."""
    words = [python, "-P", "-m", CLIENT, "get", "--socket", str(data / SOCKET), "--recipe", str(data / RECIPE)]
    quoted = " ".join(shlex.quote(word) for word in words).replace("%", "%%")
    return f"{quoted} %f %p || {{ [ $? -eq {MISSING} ] && exit 1; exit 200; }}"


def put(data: Path, recipe: Recipe, who: Account) -> None:
    make_folder(data / HANDOVER, who)
    write_file(data / RECIPE, recipe.text(), who, sync=False)


def problem(data: Path, who: Account, python: str, *, alone: bool) -> str:
    """Why the account that will run the server could not fetch WAL; empty when it can. Asked as that account, with no more of our
    environment than a server gets. ``alone``: it has to open the vault by itself.
    """
    serve = [SERVE, "wal", "serve", "--recipe", str(data / RECIPE), "--try"]
    words = [python, "-P", "-m", *(serve if alone else [CLIENT, "--help"])]
    environ = environment(data) | {"HOLDFAST_CACHE": str(data / CACHE), "HOLDFAST_STATE": str(data / CACHE)}
    try:
        done = subprocess.run(
            words, cwd="/", env=environ, stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False, text=True, **who.popen
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[0]


@contextlib.contextmanager
def served(data: Path, recipe: Recipe, logs: LogStore, who: Account, clock: Clock) -> Iterator[None]:
    """Serve a directory's WAL from this process while its server recovers."""
    from holdfast.systems.postgres.walserver import SpanWal, VaultWal, WalServer

    beyond = VaultWal(logs) if recipe.open_ended else None
    with SpanWal(logs, recipe.spans, recipe.segment_size, recipe.histories, beyond=beyond) as wal:
        server = WalServer(data / SOCKET, wal, patience=600.0, clock=clock)
        try:
            who.own(data / SOCKET)
            yield
        finally:
            server.close()


def unneeded(data: Path) -> None:
    """After promotion nothing asks for WAL any more."""
    for name in (RECIPE, SOCKET, f"{SOCKET}.log"):
        with contextlib.suppress(OSError):
            (data / name).unlink(missing_ok=True)
    shutil.rmtree(data / CACHE, ignore_errors=True)
