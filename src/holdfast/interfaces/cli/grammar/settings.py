"""The options that every command takes, before or after its name."""

from dataclasses import dataclass, field
from typing import Any

from holdfast.interfaces.cli.grammar.parser import Parser, WrongUsage

FLAGS = {"--json": "json", "--debug": "debug", "--yes": "yes", "-y": "yes", "--verbose": "verbose", "-v": "verbose"}
VALUES = {"--plan": "plan", "--set": "set"}


@dataclass
class Settings:
    """``set`` holds ``name=value`` texts."""

    plan: str | None = None
    set: list[str] = field(default_factory=list)
    json: bool = False
    debug: bool = False
    yes: bool = False
    verbose: bool = False


def take(arguments: list[str]) -> tuple[Settings, list[str]]:
    """Split off the common options; what comes after ``--`` stays as it is. Raises WrongUsage when one lacks its value."""
    settings, rest = Settings(), []
    ahead = iter(arguments)
    for word in ahead:
        name, equals, value = word.partition("=")
        if word == "--":
            rest += [word, *ahead]
        elif word in FLAGS:
            setattr(settings, FLAGS[word], True)
        elif name in VALUES:
            given: Any = value if equals else next(ahead, None)
            if given is None:
                raise WrongUsage(f"{name} needs a value.", hint="--plan FILE, --set name=value")
            if name == "--set":
                settings.set.append(given)
            else:
                settings.plan = given
        else:
            rest.append(word)
    return settings, rest


def document(parser: Parser) -> None:
    """Name them in a parser's help. They are taken off before it parses."""
    group = parser.add_argument_group("everywhere")
    group.add_argument("--plan", metavar="FILE", help="the plan (holdfast.yaml in the current folder, or $HOLDFAST_PLAN)")
    group.add_argument("--set", metavar="NAME=VALUE", help="replace a variable of the plan; may be repeated")
    group.add_argument("--json", action="store_true", help="print one JSON document on stdout; everything else goes to stderr")
    group.add_argument("-y", "--yes", action="store_true", help="do not ask")
    group.add_argument("-v", "--verbose", action="store_true", help="say more")
    group.add_argument("--debug", action="store_true", help="show tracebacks")
    group.add_argument("-h", "--help", action="store_true", help="show this")
