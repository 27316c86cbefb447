"""Which keys a place in the plan knows, read off the models."""

import typing
from collections.abc import Iterator

from holdfast.plan.shape.base import Part
from holdfast.plan.source.tree import Path


def known_keys(model: type[Part], path: Path) -> list[str]:
    """The keys that the mapping at ``path`` below ``model`` may have; empty where any are allowed or the place is unknown."""
    places: list[object] = [model]
    for piece in path:
        further = [found for place in places for found in _step(place, piece)]
        places = further or places
    return sorted({field.alias or name for part in _parts(places) for name, field in part.model_fields.items()})


def _step(place: object, piece: str | int) -> Iterator[object]:
    if isinstance(place, type) and issubclass(place, Part):
        for name, field in place.model_fields.items():
            if piece == (field.alias or name):
                yield field.annotation
        return
    origin, arguments = typing.get_origin(place), typing.get_args(place)
    if origin is dict and isinstance(piece, str):
        yield arguments[1]
    elif origin in (tuple, list):
        yield from arguments[:1] if isinstance(piece, int) else (found for argument in arguments[:1] for found in _step(argument, piece))
    else:
        named = [part for part in _parts(list(arguments)) if _kind(part) == piece]
        # A union's branch is a piece of the path by itself.
        yield from named or (found for argument in arguments if not isinstance(argument, str | int) for found in _step(argument, piece))


def _kind(part: type[Part]) -> str | None:
    field = part.model_fields.get("kind")
    words = typing.get_args(field.annotation) if field else ()
    return words[0] if len(words) == 1 and isinstance(words[0], str) else None


def _parts(places: list[object]) -> Iterator[type[Part]]:
    for place in places:
        if isinstance(place, type) and not typing.get_args(place) and issubclass(place, Part):
            yield place
        elif typing.get_origin(place) is not dict:
            yield from _parts([argument for argument in typing.get_args(place) if not isinstance(argument, str | int)])
