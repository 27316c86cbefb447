"""What comes as Debian packages: PostgreSQL 15 with its client programs; pgBackRest, restic, borg and rclone, the peers of the benchmarks;
Git with its large files, a container registry, a security module in software, Java for Spark, and Node.js for Azurite.
"""

import os
import shutil
from functools import cache
from pathlib import Path

from scripts.services.outcome import Outcome, run

PACKAGES = {
    "postgresql-15": Path("/usr/lib/postgresql/15/bin/postgres"),
    "pgbackrest": Path("/usr/bin/pgbackrest"),
    "restic": Path("/usr/bin/restic"),
    "borgbackup": Path("/usr/bin/borg"),
    "rclone": Path("/usr/bin/rclone"),
    "git": Path("/usr/bin/git"),
    "git-lfs": Path("/usr/bin/git-lfs"),
    "docker-registry": Path("/usr/bin/docker-registry"),
    "softhsm2": Path("/usr/bin/softhsm2-util"),
    "openjdk-17-jre-headless": Path("/usr/bin/java"),
    "nodejs": Path("/usr/bin/node"),
    "npm": Path("/usr/bin/npm"),
}


@cache
def _apt() -> str:
    """Installs what is missing, once; returns "" or why not."""
    wanted = [name for name, program in PACKAGES.items() if not program.exists()]
    if not wanted:
        return ""
    if not shutil.which("apt-get"):
        return "not a Debian system"
    if os.geteuid() != 0:
        return f"as root: apt-get install {' '.join(wanted)}"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    run(["apt-get", "update", "-qq"], environment=environment)
    return run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", *wanted], environment=environment)


def install() -> Outcome:
    # Missing is no failure by itself: the matrix takes the same version from Maven then.
    problem = _apt()
    program = PACKAGES["postgresql-15"]
    there = program.exists()
    return Outcome("debian", there=True, detail=str(program.parent) if there else f"PostgreSQL 15 is taken from Maven instead ({problem})")


def peer(package: str) -> Outcome:
    """One that only has to be there."""
    problem = _apt()
    program = PACKAGES[package]
    return Outcome(package, program.exists(), str(program) if program.exists() else problem)
