"""Spark with Delta Lake: the Python packages into a folder of their own (the project does not depend on them), Delta's jars by Maven."""

import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.services import debian
from scripts.services.outcome import Outcome, run
from tests.servers.spark import JARS, java_home, spark_folder
from tests.servers.versions import ROOT

LOCK = ROOT / "requirements" / "spark.lock"


def install() -> Outcome:
    target = spark_folder()
    if target.exists():
        # Java may have gone since: without it nothing starts.
        return Outcome("spark", there=java_home() is not None, detail=str(target) if java_home() else "needs Java 17 or 21")
    problem = "" if java_home() else debian.peer("openjdk-17-jre-headless").detail
    if java_home() is None:
        return Outcome("spark", there=False, detail=f"needs Java 17 or 21 ({problem})")
    if not shutil.which("mvn"):
        return Outcome("spark", there=False, detail="needs Maven (mvn) to get Delta's jars")
    print("getting Spark, about 450 MB …", flush=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        files = Path(scratch, "files")
        problem = _jars(files / "jars") or _packages(files / "python", Path(scratch, "build"))
        if problem:
            return Outcome("spark", there=False, detail=problem)
        files.rename(target)
    return Outcome("spark", there=True, detail=str(target))


def _jars(into: Path) -> str:
    for artifact, expected in JARS.items():
        group, name, version = artifact.split(":")
        problem = run(["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}:jar", f"-DoutputDirectory={into}"])
        jar = into / f"{name}-{version}.jar"
        if problem or not jar.exists():
            return problem or f"Maven left no {jar.name} of {group}"
        found = hashlib.sha256(jar.read_bytes()).hexdigest()
        if found != expected:
            return f"{jar.name} has SHA-256 {found}, expected {expected}"
    return ""


def _packages(into: Path, build: Path) -> str:
    """Spark is published as a source package only: it is built without isolation, so that nothing unlocked is fetched."""
    pip = [sys.executable, "-m", "pip"]
    if importlib.util.find_spec("pip") is None:
        # An environment that another tool made has none: one is made beside it, with the same setuptools.
        subprocess.run([sys.executable, "-m", "venv", build], check=True, stdin=subprocess.DEVNULL, capture_output=True)
        pip = [str(build / "bin" / "python"), "-m", "pip"]
        problem = run([*pip, "--disable-pip-version-check", "install", "--only-binary", ":all:", "setuptools>=77"])
        if problem:
            return problem
    words = ["--require-hashes", "--no-deps", "--no-build-isolation", "--use-pep517", "--no-compile", "--target", into, "-r", LOCK]
    return run([*pip, "--disable-pip-version-check", "install", *words])
