"""Servers whose published source Go builds: MinIO's neighbours that are small."""

import os
import shutil
import tempfile
from pathlib import Path

from scripts.services.outcome import Outcome, run
from tests.servers.versions import services_folder

GCS = "github.com/fsouza/fake-gcs-server@v1.56.1"


def google() -> Outcome:
    """A server that speaks Google Cloud Storage's interface."""
    return _install("fake-gcs-server", GCS)


def _install(name: str, module: str) -> Outcome:
    target = services_folder() / "bin" / name
    if target.exists():
        return Outcome(name, there=True, detail=str(target))
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if not go:
        return Outcome(name, there=False, detail="needs Go to build it")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        problem = run([go, "install", module], environment={**os.environ, "GOBIN": scratch, "CGO_ENABLED": "0"})
        if problem:
            return Outcome(name, there=False, detail=problem)
        built = Path(scratch, name)
        built.chmod(0o755)
        built.rename(target)
    return Outcome(name, there=True, detail=str(target))
