"""Many recovery points: what listing them, judging them and planning a prune costs grows with their number and no faster."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.vault.prune import scale


def measured(count: int, folder: Path) -> dict[str, float]:
    done = subprocess.run([sys.executable, scale.__file__, str(count), str(folder)], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def test_memory_and_answers_of_some_thousand_points(tmp_path):
    told = measured(2000, tmp_path)
    # last 10 are among hourly 48; days, weeks, months and years keep some of the others.
    assert 48 < 2000 - told["drop"] < 48 + 30 + 12 + 24 + 20
    assert told["packs"] > told["drop"]
    assert told["added_mib"] < 120


@pytest.mark.soak
def test_a_hundred_thousand_points(tmp_path):
    told = measured(100_000, tmp_path)
    print(f"100,000 points: {told}")
    assert told["listed_again"] < 60
    assert told["planned"] < 600
    assert told["added_mib"] < 1500
