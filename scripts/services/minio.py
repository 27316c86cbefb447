"""MinIO, built from its published source by Go."""

import os
import shutil
import tempfile
from pathlib import Path

from scripts.services.outcome import Outcome, run
from tests.servers.versions import services_folder

MODULE = "github.com/minio/minio@v0.0.0-20260212201848-7aac2a2c5b7c"


def install() -> Outcome:
    target = services_folder() / "bin" / "minio"
    if target.exists():
        return Outcome("minio", there=True, detail=str(target))
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if not go:
        return Outcome("minio", there=False, detail="needs Go to build it")
    print("building MinIO, which takes some minutes …", flush=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        problem = run([go, "install", MODULE], environment={**os.environ, "GOBIN": scratch, "CGO_ENABLED": "0"})
        if problem:
            return Outcome("minio", there=False, detail=problem)
        built = Path(scratch, "minio")
        built.chmod(0o755)
        built.rename(target)
    return Outcome("minio", there=True, detail=str(target))
