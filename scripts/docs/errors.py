"""The reference of errors, from the tree of classes."""

import importlib
import inspect
import pkgutil

import holdfast
from holdfast.errors import HoldfastError

FAMILIES = {
    1: "The operation ran and found something wrong",
    2: "Wrong usage or plan",
    3: "A system or a location could not be reached",
    4: "Refused",
    5: "The vault is damaged",
}


def tree() -> list[type[HoldfastError]]:
    """Every class of the tree, by status and code. Imports every module, which needs no driver."""
    for module in pkgutil.walk_packages(holdfast.__path__, "holdfast."):
        if not module.name.rpartition(".")[2].startswith("_"):
            importlib.import_module(module.name)
    found: list[type[HoldfastError]] = []
    waiting: list[type[HoldfastError]] = [HoldfastError]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.append(one)
            waiting += one.__subclasses__()
    return sorted((one for one in found if one.__module__.startswith("holdfast.")), key=lambda one: (one.status, one.code, one.__name__))


def page() -> str:
    lines = [
        "# Errors",
        "",
        "Every error that Holdfast raises on purpose has a code, which never changes, a message that says what happened, a hint that",
        "says what to do, and the exit status of its family. With `--json` an error is one document with these and `details`.",
        "",
        "This page is generated from the code by `make docs`.",
    ]
    for status, title in FAMILIES.items():
        lines += ["", f"## Status {status}: {title.lower() if status == 0 else title}", "", "| code | what it means |", "|---|---|"]
        for one in tree():
            if one.status == status and one is not HoldfastError:
                lines.append(f"| `{one.code}` | {meaning(one)} |")
    return "\n".join(lines) + "\n"


def meaning(one: type[HoldfastError]) -> str:
    """The first paragraph of the class's own docstring, fit for a cell of a table."""
    text = (inspect.cleandoc(one.__doc__) if one.__doc__ else "").split("\n\n")[0]
    return " ".join(text.split()).replace("|", "\\|")
