"""``holdfast vault copy``: JSON ``{"from", "to", "objects", "bytes", "there", "refused": [sentence…]}``."""

from typing import Annotated, Any

from holdfast.interfaces.cli.command import Option
from holdfast.interfaces.cli.context import Session
from holdfast.plan import human_size


def command(
    session: Session,
    *,
    source: Annotated[str | None, Option("the location to copy from; by default the first", "--from", metavar="NAME")] = None,
    to: Annotated[tuple[str, ...], Option("the location to bring up to date; may be repeated; by default all others", metavar="NAME")] = (),
) -> int:
    """Bring locations up to date with another, byte for byte and without a key. Nothing is removed; run it again to go on."""
    from holdfast.vault.copy import copy

    places = session.plan.document.vault.locations
    origin = session.plan.location(source) if source else places[0]
    targets = [session.plan.location(name) for name in to] or [place for place in places if place.name != origin.name]
    results: list[dict[str, Any]] = []
    with session.progress() as progress:
        for target in targets:
            done = copy(session.platform.storage(origin), session.platform.storage(target, create=True), progress=progress)
            results.append(
                {
                    "from": origin.name,
                    "to": target.name,
                    "objects": done.objects,
                    "bytes": done.bytes,
                    "there": done.there,
                    "refused": list(done.refused),
                }
            )

    def human() -> None:
        for one in results:
            session.out.say(f"{one['from']} → {one['to']}: {one['objects']} objects, {human_size(one['bytes'])}; {one['there']} were there")
            for sentence in one["refused"]:
                session.out.warn(sentence)
        if not results:
            session.out.say("The plan has one location: there is nowhere to copy to.")

    session.out.result({"copies": results}, human)
    return 5 if any(one["refused"] for one in results) else 0
