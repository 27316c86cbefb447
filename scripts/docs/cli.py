"""The reference of the command line, from the program itself."""

from typing import Any

import typer.main

# Typer carries its own copy of Click, so commands are told apart by what they have rather than by their class.
Command = Any
Context = Any
Parameter = Any

HIDDEN = {"help", "install_completion", "show_completion"}


def page() -> str:
    from holdfast.interfaces.cli.main import app

    root = typer.main.get_command(app)
    lines = [
        "# Command line",
        "",
        "This page is generated from the program by `make docs`; `holdfast COMMAND --help` prints the same.",
        "",
        "Exit status: 0 done; 1 it ran and found something wrong; 2 wrong usage or plan; 3 a system or location could not be reached;",
        "4 refused, because it would destroy or overwrite something; 5 the vault is damaged. Anything else is a bug.",
    ]
    context = root.context_class(root, info_name="holdfast")
    options = _parameters(root, context)
    if options:
        lines += ["", "## For every command", "", *options]
    lines += _commands(root, context)
    return "\n".join(lines) + "\n"


def _commands(command: Command, context: Context) -> list[str]:
    lines: list[str] = []
    if not hasattr(command, "list_commands"):
        return lines
    for name in command.list_commands(context):
        one = command.get_command(context, name)
        if one is None or one.hidden:
            continue
        below = one.context_class(one, info_name=name, parent=context)
        lines += ["", f"## `{below.command_path}`", "", _help(one)]
        if hasattr(one, "list_commands"):
            lines += _commands(one, below)
            continue
        usage = " ".join(one.collect_usage_pieces(below))
        lines += ["", "```", f"{below.command_path} {usage}".strip(), "```"]
        parameters = _parameters(one, below)
        if parameters:
            lines += ["", *parameters]
    return lines


def _help(command: Command) -> str:
    return (command.help or "").replace("\b", "").strip()


def _parameters(command: Command, context: Context) -> list[str]:
    shown = [one for one in command.params if not getattr(one, "hidden", False) and one.name not in HIDDEN]
    if not shown:
        return []
    return ["| option | meaning |", "|---|---|", *(f"| {_name(one, context)} | {_text(one)} |" for one in shown)]


def _name(one: Parameter, context: Context) -> str:
    if one.param_type_name == "argument":
        return f"`{one.make_metavar(context)}`"
    names = ", ".join((*one.opts, *one.secondary_opts))
    value = "" if one.is_flag or one.count else f" {one.make_metavar(context)}"
    return f"`{names}{value}`"


def _text(one: Parameter) -> str:
    return " ".join((getattr(one, "help", None) or "").split()).replace("|", "\\|")
