"""``holdfast wal serve``: what ``wal get`` starts where no follower listens. JSON, when it ends: ``{"system", "served"}``."""

import contextlib
import dataclasses
import os
from pathlib import Path
from typing import Annotated

from holdfast.errors import Usage
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option
from holdfast.model import counted


class NoSocket(Usage):
    """Nobody would know where to ask, or for what."""

    code = "wal-serve-what"


def command(
    session: Session,
    *,
    system: Annotated[str | None, Option("whose WAL; the plan's only system when it has one", metavar="NAME")] = None,
    socket: Annotated[Path | None, Option("where to listen; a recipe names its own", metavar="PATH")] = None,
    recipe: Annotated[Path | None, Option("of a restored directory: what its server needs to recover", metavar="FILE")] = None,
    idle: Annotated[float, Option("seconds without a question after which it ends", metavar="SECONDS")] = 300.0,
    try_: Annotated[bool, Option("open the vault, find the log, and end", "--try")] = False,
) -> int:
    """Serve WAL out of the vault to 'holdfast wal get'. Started by that where it is needed; ends by itself."""
    from holdfast.systems.postgres.restore.fetch import Recipe
    from holdfast.systems.postgres.walserver.server import SocketTaken

    made = Recipe.read(recipe) if recipe else None
    if made is not None and not session.settings.plan:
        session.settings = dataclasses.replace(session.settings, plan=made.plan)
    names = (made.system,) if made else session.select((system,) if system else ())
    if len(names) != 1:
        raise NoSocket("Whose WAL? The plan has several systems.", hint="Name one: holdfast wal get --system NAME %f %p")
    [name] = names
    place = socket or (Path(made.socket) if made else None)
    if place is None and not try_:
        raise NoSocket("Where to listen? --socket PATH is missing.", hint="'holdfast wal get' starts this by itself where it is needed.")
    served = 0
    try:
        with session.platform.wal_files(name, made) as files:
            if try_:
                return 0
            assert place is not None
            with session.platform.wal_socket(place, files) as server, contextlib.suppress(KeyboardInterrupt):
                while server.idle < idle and os.path.lexists(place):
                    session.clock.sleep(1.0)
                served = server.answered
    except SocketTaken:
        # Another one was quicker: it serves.
        pass
    session.out.result({"system": name, "served": served}, lambda: session.out.say(f"{name}: {counted(served, 'file')} of WAL served"))
    return 0
