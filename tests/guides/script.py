"""From a page to the script that a reader would type."""

import re
from collections.abc import Mapping
from pathlib import Path

FENCE = re.compile(r"^```sh run\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[str]:
    """The blocks of a page that are marked as ``sh run``, in order."""
    return FENCE.findall(page.read_text())


def script(page: Path, places: Mapping[str, str]) -> str:
    """One bash script of them that stops at the first failure; ``places`` replaces the page's paths by those of a test."""
    text = "\n".join(f"echo '--- block {number}'\n{block}" for number, block in enumerate(commands(page), 1))
    for said, meant in places.items():
        assert said in text, f"{page.name} no longer says {said}"
        text = text.replace(said, meant)
    return f"set -euo pipefail\n{text}"
