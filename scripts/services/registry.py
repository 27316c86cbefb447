"""The distribution project's container registry: Debian's package, else built by Go."""

import os
import shutil
import tempfile
from pathlib import Path

from scripts.services import debian
from scripts.services.outcome import Outcome, run
from tests.servers.versions import services_folder

MODULE = "github.com/distribution/distribution/v3/cmd/registry@v3.0.0"


def install() -> Outcome:
    packaged = debian.peer("docker-registry")
    if packaged.there:
        return Outcome("registry", there=True, detail=packaged.detail)
    target = services_folder() / "bin" / "registry"
    if target.exists():
        return Outcome("registry", there=True, detail=str(target))
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if not go:
        return Outcome("registry", there=False, detail=f"{packaged.detail}; needs Go to build it")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        problem = run([go, "install", MODULE], environment={**os.environ, "GOBIN": scratch, "CGO_ENABLED": "0"})
        if problem:
            return Outcome("registry", there=False, detail=problem)
        built = Path(scratch, "registry")
        built.chmod(0o755)
        built.rename(target)
    return Outcome("registry", there=True, detail=str(target))
