"""PostgreSQL servers that are published as jars: a jar holds one .txz with bin, lib and share."""

import hashlib
import lzma
import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path

from scripts.services.outcome import Outcome, run
from tests.servers.versions import Version, candidates, maven_platform, services_folder

GROUP = "io.zonky.test.postgres"


def install(version: Version) -> Outcome:
    name = f"postgresql-{version.major}"
    for place in candidates(version):
        if (place / "bin" / "postgres").exists():
            return Outcome(name, there=True, detail=str(place / "bin"))
    if not shutil.which("mvn"):
        return Outcome(name, there=False, detail="needs Maven (mvn) and a JDK to get it")
    target = services_folder() / f"postgres-{version.maven}"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        artifact = f"embedded-postgres-binaries-{maven_platform()}"
        problem = run(
            ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={GROUP}:{artifact}:{version.maven}:jar", f"-DoutputDirectory={scratch}"]
        )
        jar = Path(scratch, f"{artifact}-{version.maven}.jar")
        if not problem and not jar.exists():
            problem = f"Maven left no {jar.name}"
        if not problem:
            problem = _verify(jar, version.sha256.get(maven_platform()))
        if problem:
            return Outcome(name, there=False, detail=problem)
        _unpack(jar, Path(scratch, "files"))
        Path(scratch, "files").rename(target)
    return Outcome(name, there=True, detail=str(target / "bin"))


def _verify(jar: Path, expected: str | None) -> str:
    found = hashlib.sha256(jar.read_bytes()).hexdigest()
    return "" if expected in (None, found) else f"{jar.name} has SHA-256 {found}, expected {expected}"


def _unpack(jar: Path, into: Path) -> None:
    with zipfile.ZipFile(jar) as archive:
        inner = next(name for name in archive.namelist() if name.endswith(".txz"))
        with archive.open(inner) as packed, lzma.open(packed) as plain, tarfile.open(fileobj=plain, mode="r|") as files:
            files.extractall(into, filter="tar")
    into.chmod(0o755)
