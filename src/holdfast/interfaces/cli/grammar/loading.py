"""From an entry of the registry to the function that runs."""

import importlib
import importlib.util
from typing import cast

import holdfast
from holdfast.errors import Usage
from holdfast.interfaces.cli.grammar.command import Function
from holdfast.interfaces.cli.registry import Entry, Group

_COMMANDS = "holdfast.interfaces.cli.commands"


class NotThereYet(Usage):
    """A command that is planned, and not in this version."""

    code = "not-there-yet"


def load(path: list[str], entry: Entry) -> Function:
    """Import the command at ``path``. Raises NotThereYet."""
    name = f"{_COMMANDS}.{entry.module}"
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise NotThereYet(
            f"'holdfast {' '.join(path)}' is not there yet in version {holdfast.__version__}.", hint="See what is there: holdfast --help"
        ) from None
    return cast("Function", module.command)


def there(entry: Entry | Group) -> bool:
    """Whether the command's module exists; nothing is imported but the packages above it."""
    if isinstance(entry, Group):
        return any(there(below) for below in entry.entries.values())
    try:
        return entry.module == "wal" or importlib.util.find_spec(f"{_COMMANDS}.{entry.module}") is not None
    except ModuleNotFoundError:
        return False
