"""Every proof that docs/bad-days.md names exists."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROOF = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def missing(text):
    found = PROOF.findall(text)
    return found, [
        f"{path}::{name}"
        for path, name in found
        if not (ROOT / path).is_file() or not re.search(rf"^def {name}\(", (ROOT / path).read_text(), re.MULTILINE)
    ]


def test_every_proof_exists():
    found, gone = missing((ROOT / "docs" / "bad-days.md").read_text())
    assert len(found) > 50
    assert gone == []


def test_every_row_has_a_proof():
    rows = [line for line in (ROOT / "docs" / "bad-days.md").read_text().splitlines() if line.startswith("| ") and "proved by" not in line]
    assert [row for row in rows if "::test_" not in row] == []


def test_a_proof_that_is_gone_is_seen():
    assert missing("`tests/architecture/test_bad_days_page.py::test_nothing`")[1]
