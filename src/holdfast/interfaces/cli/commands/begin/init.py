"""``holdfast init``.

JSON: ``{"plan", "plan_written", "vault", "vault_created", "locations": [{"name", "url"}], "joined": [name…], "recovery_key"}``;
``recovery_key`` is null for a vault that was there already, ``joined`` names locations that were empty and belong to it now.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

from holdfast.errors import Usage
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option
from holdfast.interfaces.cli.terminal.confirm import ask
from holdfast.plan import load
from holdfast.plan.errors import nearest
from holdfast.plan.template import SCHEMES, Answers, PlaceAnswer, render
from holdfast.plan.values.cron import zone
from holdfast.plan.values.secret import holds_password

_NAMES = ("onsite", "offsite")


class InitIncomplete(Usage):
    """Something that a new plan needs was not said, and nobody is there to ask."""

    code = "init-incomplete"


class LiteralSecret(Usage):
    """A password was given where a reference belongs."""

    code = "literal-secret"


def command(
    session: Session,
    *,
    location: Annotated[tuple[str, ...], Option("where the vault rests: URL, or NAME=URL; may be repeated", metavar="URL")] = (),
    platform: Annotated[str | None, Option("the platform's name (the folder's)", metavar="NAME")] = None,
    key_env: Annotated[str | None, Option("environment variable that holds the vault's key (HOLDFAST_KEY)", metavar="NAME")] = None,
    key_file: Annotated[
        Path | None, Option("file that holds the vault's key; made with a random key where missing", metavar="FILE")
    ] = None,
    system: Annotated[str | None, Option("name of a PostgreSQL system to protect", metavar="NAME")] = None,
    dsn: Annotated[str | None, Option("how to connect to it, without a password", metavar="DSN")] = None,
    dsn_env: Annotated[str | None, Option("environment variable that holds how to connect to it", metavar="NAME")] = None,
    data_directory: Annotated[Path | None, Option("its data directory, on the database host", metavar="DIR")] = None,
    files: Annotated[tuple[str, ...], Option("a folder to protect, as a system named 'files'; may be repeated", metavar="PATH")] = (),
    endpoint: Annotated[str | None, Option("address of an S3-compatible store", metavar="URL")] = None,
    region: Annotated[str | None, Option("region of the S3 store", metavar="NAME")] = None,
    timezone: Annotated[str | None, Option("time zone of schedules and retention (UTC)", metavar="ZONE")] = None,
) -> None:
    """Write a commented plan and create the vault in every location.

    Asks for what no option says; with --yes takes the defaults. A plan that is there is kept, and so is a vault. The recovery key is shown
    once: it opens the vault when everything else is lost, and cannot be shown again.
    """
    path, written = session.plan_path, False
    if not path.exists():
        asking = sys.stdin.isatty() and not session.settings.yes
        answers = Answers(
            platform=platform or _default(asking, "Name of the platform", _platform_name()),
            key=_key(key_env, key_file),
            locations=_places(location or _asked_locations(asking), endpoint, region),
            timezone=_zone(timezone or "UTC"),
            system=system or (_default(asking, "Name of a PostgreSQL system to protect (empty for none)", "") or None),
            dsn=_dsn(dsn, dsn_env, asking=asking and system is None),
            data_directory=str(data_directory) if data_directory else None,
            paths=tuple(str(Path(path).absolute()) for path in files),
        )
        _write(path, render(answers))
        written = True
        session.out.note(f"Wrote {path}." if not session.settings.json else f"Wrote {path}")
    else:
        session.out.note(f"{path} is there already, and is kept.")
    load(path, session.settings.set)  # a plan that does not hold makes no vault
    _make_key_file(session, key_file)
    created = session.platform.create_vault()
    document = {
        "plan": path,
        "plan_written": written,
        "vault": created.vault,
        "vault_created": created.recovery_key is not None,
        "locations": [{"name": place.name, "url": place.url} for place in session.platform.locations()],
        "joined": created.joined,
        "recovery_key": created.recovery_key,
    }

    def human() -> None:
        places = ", ".join(place.name for place in session.platform.locations())
        if created.recovery_key is None:
            session.out.say(f"The vault {created.vault[:8]} is there already in {places}, and is kept.")
            for name in created.joined:
                session.out.say(f"{name} was empty and belongs to it now. Bring its history there: holdfast vault copy --to {name}")
        else:
            session.out.say(f"Created the vault {created.vault[:8]} in {places}.\n")
            session.out.say(f"Recovery key, shown this once:\n\n    {created.recovery_key}\n")
            session.out.say("Print it and lock it away: it opens the vault when every other key is lost.")
        session.out.say("Next: holdfast check, then: holdfast backup")

    session.out.result(document, human)


def _platform_name() -> str:
    name = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in Path.cwd().name).strip("-")
    return name or "platform"


def _default(asking: bool, question: str, default: str) -> str:
    return ask(question, default) if asking else default


def _key(env: str | None, file: Path | None) -> dict[str, str]:
    if file is not None:
        return {"file": str(file)}
    return {"env": env or "HOLDFAST_KEY"}


def _asked_locations(asking: bool) -> tuple[str, ...]:
    if not asking:
        raise InitIncomplete(
            "No location was named, and nobody is there to ask.", hint="Say where the vault rests: --location file:///var/lib/holdfast"
        )
    first = ask("Where the vault rests (file:///… or s3://…)", "file:///var/lib/holdfast")
    second = ask("A second location, in another failure domain (empty for none)")
    return (first, second) if second else (first,)


def _places(texts: tuple[str, ...], endpoint: str | None, region: str | None) -> list[PlaceAnswer]:
    found = []
    for number, text in enumerate(texts):
        name, equals, url = text.partition("=")
        if not equals or "://" in name:
            name, url = (_NAMES[number] if number < len(_NAMES) else f"location{number + 1}"), text
        if url.startswith("/"):
            url = f"file://{url}"
        scheme = url.partition("://")[0]
        if scheme not in SCHEMES:
            close = nearest(scheme, SCHEMES)
            raise InitIncomplete(
                f"'{text}' is no location.", hint=f"Did you mean {close}://?" if close else "Write file:///folder or s3://bucket/prefix"
            )
        s3 = scheme == "s3"
        found.append(PlaceAnswer(name, url, endpoint if s3 else None, region if s3 else None))
    return found


def _zone(name: str) -> str:
    zone(name)
    return name


def _dsn(text: str | None, env: str | None, *, asking: bool) -> dict[str, str] | str | None:
    if text is not None and holds_password(text):
        raise LiteralSecret(
            "The DSN holds a password, which a plan must not.",
            hint="Put the whole DSN into an environment variable, and say --dsn-env NAME",
        )
    if text is None and env is None and asking:
        env = ask("Environment variable that holds how to connect to it", "DATABASE_URL")
    return text if text is not None else {"env": env} if env else None


def _write(path: Path, text: str) -> None:
    """Never over something: the plan may have come there meanwhile."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _make_key_file(session: Session, path: Path | None) -> None:
    if path is None:
        return
    chosen = session.plan.resolve(str(path))
    if chosen.exists():
        return
    from holdfast.vault.keys.secret_text import FILE, to_text

    chosen.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(chosen, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(to_text(os.urandom(32), FILE) + "\n")
        file.flush()
        os.fsync(file.fileno())
    session.out.note(f"Made a random key in {path} (mode 600). Whoever has it opens the vault: keep a copy elsewhere.")
