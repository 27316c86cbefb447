"""Where what a plan names lies when plan and files are brought to another machine."""

import hashlib
import posixpath
from pathlib import PurePosixPath

ELSEWHERE = ".suites"


def beside(path: str) -> str:
    """Where a file or folder that a plan names lies beside one that is brought elsewhere: as named, where that is below the plan's folder
    and not hidden; else below ``.suites``, under a name that tells paths apart (hidden, so that no folder of suites holds it).
    """
    plain = PurePosixPath(posixpath.normpath(path))
    if plain.parts and not path.startswith(("/", "~")) and not any(part.startswith(".") for part in plain.parts):
        return str(plain)
    digest = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{ELSEWHERE}/{digest}-{plain.name or 'plan'}"
