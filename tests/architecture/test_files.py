"""Files stay short, rooms say what they promise."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = sorted(path.parent for path in (ROOT / "src" / "holdfast").glob("*/__init__.py"))


def test_no_file_is_over_500_lines():
    files = [
        path
        for part in ("src", "tests", "bench", "scripts")
        for path in (ROOT / part).rglob("*")
        if path.suffix in (".py", ".c", ".pyi", ".sh")
    ]
    assert len(files) > 20
    long = {str(path.relative_to(ROOT)): count for path in files if (count := len(path.read_text().splitlines())) > 500}
    assert not long, f"over 500 lines: {long}"


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: room.name)
def test_a_room_opens_with_its_contract_sentence(room):
    assert ast.get_docstring(ast.parse((room / "__init__.py").read_text())), f"{room.name}/__init__.py has no docstring"


def test_folders_stay_small_enough_to_look_through():
    folders = [path.parent for path in (ROOT / "src" / "holdfast").rglob("__init__.py")]
    # Besides __init__.
    crowded = {str(folder.relative_to(ROOT)): count for folder in folders if (count := len(list(folder.glob("*.py"))) - 1) > 15}
    assert not crowded, f"too many modules side by side: {crowded}"
