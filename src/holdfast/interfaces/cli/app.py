"""One command line, from words to exit status."""

import os
import signal
import sys
from collections.abc import Mapping
from types import FrameType

import holdfast
from holdfast.interfaces.cli import failures
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar import helptext, settings
from holdfast.interfaces.cli.grammar.command import add_parameters, call
from holdfast.interfaces.cli.grammar.loading import load
from holdfast.interfaces.cli.grammar.parser import Parser, WrongUsage, nearest
from holdfast.interfaces.cli.registry import COMMANDS, Entry, Group
from holdfast.interfaces.cli.terminal.output import PipeClosed


def run(arguments: list[str]) -> int:
    """Run a command line; every failure is told, none escapes."""
    chosen = settings.Settings(json="--json" in arguments, debug="--debug" in arguments)
    session: Session | None = None
    previous = _on_terminate()
    try:
        chosen, rest = settings.take(arguments)
        session = Session(chosen)
        status = _dispatch(session, rest)
        sys.stdout.flush()
        return status
    except (PipeClosed, BrokenPipeError) as error:
        if isinstance(error, BrokenPipeError) and session and not session.out.pipe_closed():
            return failures.show(error, as_json=chosen.json, debug=chosen.debug, printed=session.out.printed)
        # Whoever read our output left. What follows at exit must not complain about it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return failures.PIPE_CLOSED
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 0
    except BaseException as error:  # noqa: BLE001 - the last place that can tell a person
        printed, kept = (session.out.printed, session.kept) if session else (False, "")
        return failures.show(error, as_json=chosen.json, debug=chosen.debug, printed=printed, kept=kept)
    finally:
        if session:
            session.close()
        if previous is not None:
            signal.signal(signal.SIGTERM, previous)


def _dispatch(session: Session, words: list[str]) -> int:
    table: Mapping[str, Entry | Group] = COMMANDS
    path: list[str] = []
    otherwise = ""
    while True:
        if words[:1] == ["--version"] and not path:
            session.out.result({"version": holdfast.__version__}, lambda: session.out.say(f"holdfast {holdfast.__version__}"))
            return 0
        if not words or words[0] in ("-h", "--help", "help"):
            return _overview(session, path, asked=bool(words) or not path)
        name, words = words[0], words[1:]
        if name not in table and otherwise and not name.startswith("-"):
            name, words = otherwise, [name, *words]
        if name not in table:
            raise _unknown(path, name, table)
        path.append(name)
        found = table[name]
        if isinstance(found, Entry):
            return _run(session, path, found, words)
        table, otherwise = found.entries, found.otherwise


def _overview(session: Session, path: list[str], *, asked: bool) -> int:
    if not asked:
        raise WrongUsage(f"holdfast {' '.join(path)} needs a further word.", hint=f"See: holdfast {' '.join(path)} --help")
    session.out.raw(helptext.overview(path))
    return 0


def _run(session: Session, path: list[str], entry: Entry, words: list[str]) -> int:
    function = load(path, entry)
    parser = Parser("holdfast " + " ".join(path), (function.__doc__ or entry.summary).strip())
    add_parameters(parser, function)
    parser.freeze_usage()
    settings.document(parser)
    before_end = words[: words.index("--")] if "--" in words else words
    if "-h" in before_end or "--help" in before_end:
        session.out.raw(parser.format_help())
        return 0
    return call(function, session, parser.parse(words))


def _unknown(path: list[str], name: str, table: Mapping[str, Entry | Group]) -> WrongUsage:
    said = f"holdfast {' '.join(path)}".strip()
    if name.startswith("-"):
        return WrongUsage(f"{said} has no option '{name}'.", hint=f"Options of a command come after its name. See: {said} --help")
    close = nearest(name, table)
    return WrongUsage(f"{said} has no command '{name}'.", hint=f"Did you mean '{close}'?" if close else f"See: {said} --help")


def _on_terminate() -> "signal._HANDLER":
    def stop(_number: int, _frame: FrameType | None) -> None:
        raise failures.Terminated

    try:
        return signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread: an embedding program minds its own signals
        return None
