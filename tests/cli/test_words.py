"""One thing is never "1 things"."""

import re
from pathlib import Path

from holdfast.model import counted

ROOMS = Path(__file__).parents[2] / "src" / "holdfast"


def test_singular_and_plural():
    assert [counted(n, "file") for n in (0, 1, 2)] == ["0 files", "1 file", "2 files"]
    assert [counted(n, "entry", "entries") for n in (1, 3)] == ["1 entry", "3 entries"]


def test_the_commands_count_with_it():
    """A number in front of a plural, in what commands say."""
    form = re.compile(r"\{[^{}]*\} (?:hosts|files|entries|points|packs|objects|images|locations|keys|slots|copies|folders)\b")
    for path in (ROOMS / "interfaces" / "cli" / "commands").rglob("*.py"):
        for line in path.read_text().splitlines():
            assert not form.search(line), f"{path.name}: {line.strip()}"
