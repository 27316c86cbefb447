"""Gets every server, then prints what is there and what is not. Status 1 where CI is set and something is missing."""

import os
import sys
from collections.abc import Callable

from scripts.services import airflow, azurite, debian, golang, maven, minio, registry, s3a, spark
from scripts.services.outcome import Outcome
from tests.servers.versions import VERSIONS


def main() -> int:
    # A private umask would hide the programs from the account that servers run as.
    os.umask(0o022)
    steps: list[Callable[[], Outcome]] = [
        debian.install,
        *(lambda one=one: maven.install(one) for one in VERSIONS),
        minio.install,
        golang.google,
        azurite.install,
        *(lambda name=name: debian.peer(name) for name in ("pgbackrest", "restic", "borgbackup", "rclone", "git", "git-lfs", "softhsm2")),
        registry.install,
        spark.install,
        s3a.install,
        airflow.install,
    ]
    outcomes = []
    for step in steps:
        outcome = step()
        outcomes.append(outcome)
        print(outcome, flush=True)
    missing = [outcome for outcome in outcomes if not outcome.there]
    if not missing:
        return 0
    print(f"{len(missing)} of {len(outcomes)} services are missing: tests that need them are skipped (and fail where CI is set).")
    return 1 if os.environ.get("CI", "").lower() not in ("", "0", "false") else 0


sys.exit(main())
