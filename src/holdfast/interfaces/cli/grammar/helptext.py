"""The overview of commands, from the registry alone."""

import shutil
import textwrap

from holdfast.interfaces.cli.grammar.loading import there
from holdfast.interfaces.cli.registry import COMMANDS, SECTIONS, Entry, Group


def overview(path: list[str]) -> str:
    """Help for ``holdfast`` or for a group of commands."""
    width = min(shutil.get_terminal_size((100, 24)).columns, 120)
    if not path:
        parts = ["Usage: holdfast COMMAND [OPTIONS]\n\nKeeps a data platform recoverable, and proves it.\n"]
        parts += [_table(title, entries, width) for title, entries in SECTIONS.items()]
        parts.append(
            "Everywhere: --plan FILE  --set NAME=VALUE  --json  --yes  --verbose  --debug  --help\n'holdfast COMMAND --help' says more.\n"
        )
        return "\n".join(parts)
    group = COMMANDS[path[0]]
    assert isinstance(group, Group)
    usage = f"Usage: holdfast {' '.join(path)} COMMAND [OPTIONS]\n\n{group.summary[:1].upper() + group.summary[1:]}.\n"
    return f"{usage}\n{_table('Commands', dict(group.entries), width)}"


def _table(title: str, entries: dict[str, Entry | Group] | dict[str, Entry], width: int) -> str:
    lines = [f"{title}:"]
    for name, entry in entries.items():
        later = "" if there(entry) else " (not there yet)"
        lines += textwrap.wrap(entry.summary + later, width, initial_indent=f"  {name:<10} ", subsequent_indent=" " * 13)
    return "\n".join(lines) + "\n"
