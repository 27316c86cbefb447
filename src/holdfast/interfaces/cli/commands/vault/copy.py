"""``holdfast vault copy``.

JSON ``{"copies": [{"to", "from": [name…], "objects", "bytes", "there", "points", "refused": [sentence…], "left": [sentence…],
"silent": {url: why}, "error": {"code", "message", "hint"} | null}]}``. Exit status 5 where something was refused, else that of a location
that failed.
"""

from typing import Annotated, Any

from holdfast.errors import HoldfastError
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option
from holdfast.model import counted
from holdfast.plan import human_size


def command(
    session: Session,
    *,
    source: Annotated[
        tuple[str, ...], Option("a location to copy from; may be repeated; by default all others", "--from", metavar="NAME")
    ] = (),
    to: Annotated[tuple[str, ...], Option("the location to bring up to date; may be repeated; by default every one", metavar="NAME")] = (),
) -> int:
    """Bring locations up to date with each other, byte for byte and without a key. Nothing is removed; run it again to go on.

    A location that is new or empty becomes one of the vault. What was removed on purpose is not brought back: pruned points, removed keys.
    """
    from holdfast.protection.recorded import recorded

    places = session.plan.document.vault.locations
    origins = [session.plan.location(name) for name in source] or list(places)
    targets = [session.plan.location(name) for name in to] or [place for place in places if not source or place not in origins]
    targets = [target for target in targets if any(place.name != target.name for place in origins)]
    platform = session.platform
    with (
        session.progress() as progress,
        recorded(platform.state, platform.journal, session.clock, "copy", None, to=[target.name for target in targets]) as work,
    ):
        done = platform.copy(targets, origins, work.watch(progress)) if targets else {}
        work.add(bytes=sum(one.bytes for one in done.values() if not isinstance(one, HoldfastError)))
    results: list[dict[str, Any]] = []
    status = 0
    for name, one in done.items():
        shown: dict[str, Any] = {"to": name, "from": [place.name for place in origins if place.name != name]}
        if isinstance(one, HoldfastError):
            status = max(status, one.status)
            shown |= {"objects": 0, "bytes": 0, "there": 0, "points": 0, "refused": [], "left": [], "silent": {}}
            shown["error"] = {"code": one.code, "message": one.message, "hint": one.hint}
        else:
            status = max(status, 5 if one.refused else 3 if one.silent else 0)
            shown |= {"objects": one.objects, "bytes": one.bytes, "there": one.there, "points": one.points}
            shown |= {"refused": one.refused, "left": one.left, "silent": dict(one.silent), "error": None}
        results.append(shown)

    def human() -> None:
        for one in results:
            if one["error"]:
                session.out.warn(f"{one['to']}: {one['error']['message']} {one['error']['hint']}")
                continue
            session.out.say(
                f"{' + '.join(one['from'])} → {one['to']}: {counted(one['points'], 'point')},"
                f" {counted(one['objects'], 'object')}, {human_size(one['bytes'])}; there already: {one['there']}"
            )
            for sentence in (*one["refused"], *one["left"], *(f"{url} did not answer: {why}" for url, why in one["silent"].items())):
                session.out.warn(sentence)
        if not results:
            session.out.say("The plan has one location: there is nowhere to copy to.")

    session.out.result({"copies": results}, human)
    return status
