"""Hadoop's client for S3 (s3a://), by which Spark reads tables in buckets: its jar and what it uses of Amazon's SDK, by Maven."""

import hashlib
import shutil
import tempfile
from pathlib import Path

from scripts.services.outcome import Outcome, run
from tests.servers.spark import s3a_folder
from tests.servers.versions import ROOT

POM = Path(__file__).with_name("s3a.xml")
LOCK = ROOT / "requirements" / "s3a.lock"
"""SHA-256 and name of every jar."""
_SPARKS_OWN = "io.netty,org.slf4j,commons-codec,commons-logging,org.apache.httpcomponents"
"""Spark brings these groups itself, in newer versions."""


def install() -> Outcome:
    target = s3a_folder()
    if target.exists():
        return Outcome("s3a", there=True, detail=str(target))
    if not shutil.which("mvn"):
        return Outcome("s3a", there=False, detail="needs Maven (mvn)")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        files = Path(scratch, "jars")
        words = ["dependency:copy-dependencies", f"-DoutputDirectory={files}", f"-DexcludeGroupIds={_SPARKS_OWN}"]
        problem = run(["mvn", "-q", "-B", "-f", POM, *words]) or _wrong(files)
        if problem:
            return Outcome("s3a", there=False, detail=problem)
        files.rename(target)
    return Outcome("s3a", there=True, detail=str(target))


def _wrong(files: Path) -> str:
    """Exactly the jars of the lock, each with its content."""
    expected = {name: digest for digest, name in (line.split() for line in LOCK.read_text().splitlines())}
    found = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in files.glob("*.jar")}
    other = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    return f"other jars than expected: {', '.join(other)}" if other else ""
