"""Modules that are named in a string are imported late, or not at all when the name is wrong: nothing else notices that one moved."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "holdfast"
ROOMS = {path.name for path in PACKAGE.iterdir() if path.is_dir()}
NAME = re.compile(r"""(["'])(holdfast(?:\.[A-Za-z_]\w*)+)\1""")


def named(path):
    for found in NAME.finditer(path.read_text()):
        parts = found[2].split(".")[1:]
        # A name that ends in an underline is how some begin.
        if parts[0] in ROOMS and parts[-1] != "_" and "no_such_module" not in parts:
            yield found[2], parts


def there(parts):
    """Whether it is a package, a module, a compiled part (the source), or a name in one of them."""
    at = PACKAGE
    for number, part in enumerate(parts):
        if (at / part).is_dir():
            at = at / part
            continue
        last = number == len(parts) - 1
        return (at / f"{part}.py").is_file() or (
            last and ((at / f"{part}.c").is_file() or re.search(rf"\b{part}\b", (at / "__init__.py").read_text()) is not None)
        )
    return True


@pytest.mark.parametrize("folder", ["src", "tests", "bench", "scripts"])
def test_modules_named_in_strings_exist(folder):
    found = {
        f"{path.relative_to(ROOT)}: {name}" for path in (ROOT / folder).rglob("*.py") for name, parts in named(path) if not there(parts)
    }
    assert not found


def test_a_wrong_name_is_seen():
    assert there(["interfaces", "cli", "main"])
    assert there(["interfaces", "cli", "main", "main"])
    assert not there(["interfaces", "cli", "gone"])
    assert not there(["interfaces", "gone", "main"])
