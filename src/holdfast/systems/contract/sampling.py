"""A random part of a system's content, the same on both sides of a comparison."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Draw:
    """What to draw. A unit (a row, an object, a file) is in the sample when a hash of its key and ``seed`` says so: whoever made the copy
    cannot know beforehand which.

    ``wanted``: units to be drawn of each thing. ``one_in``: by name of the thing what one side drew by (``Sampled.one_in``), so that the
    other draws the same.
    """

    seed: str
    wanted: int
    one_in: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sampled:
    """Of one thing (a table, a bucket, a path): ``total`` units (named ``unit``) lie there, each was drawn with the chance 1 / ``one_in``.

    ``drawn``: key → hash of the content. ``one_in`` 0: it cannot be drawn from, and ``drawn`` holds one hash of all of it.
    """

    unit: str
    total: int
    one_in: int
    drawn: Mapping[str, str]
