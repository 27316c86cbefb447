"""Writes every generated page; with --check only says which differ, with status 1."""

import sys
from pathlib import Path

from scripts.docs import cli, errors

ROOT = Path(__file__).resolve().parents[2]
PAGES = {"docs/errors.md": errors.page, "docs/cli.md": cli.page}


def main() -> int:
    stale = []
    for name, page in PAGES.items():
        path = ROOT / name
        wanted = page()
        if path.exists() and path.read_text() == wanted:
            continue
        stale.append(name)
        if "--check" not in sys.argv:
            path.write_text(wanted)
    if stale:
        print(("differs: " if "--check" in sys.argv else "written: ") + ", ".join(stale))
    return 1 if stale and "--check" in sys.argv else 0


sys.exit(main())
