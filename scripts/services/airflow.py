"""Airflow: its locked packages in an environment of their own, for the project does not depend on them."""

import shutil
import subprocess
import sys

from scripts.services.outcome import Outcome, run
from tests.servers.airflow import AIRFLOW, airflow_folder
from tests.servers.versions import ROOT

LOCK = ROOT / "requirements" / "airflow.lock"


def install() -> Outcome:
    """About 60 MB are fetched, 210 MB lie on the disk. Interpreters' paths are written into an environment, so it is made where it stays
    and marked as whole at the end.
    """
    target = airflow_folder()
    whole = target / "whole"
    if whole.exists():
        return Outcome("airflow", there=True, detail=str(target))
    print(f"getting Airflow {AIRFLOW}, about 60 MB …", flush=True)
    shutil.rmtree(target, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    made = subprocess.run([sys.executable, "-m", "venv", target], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if made.returncode:
        return Outcome("airflow", there=False, detail=(made.stdout + made.stderr).strip()[-300:] or "venv failed")
    pip = [target / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install"]
    problem = run([*pip, "--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", LOCK])
    if problem:
        return Outcome("airflow", there=False, detail=problem)
    whole.touch()
    return Outcome("airflow", there=True, detail=str(target))
