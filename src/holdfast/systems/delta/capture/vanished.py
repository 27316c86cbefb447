"""Files that a table needs and that lie there no more: a capture that has them from the last point would not notice."""

from collections.abc import Callable, Sequence
from itertools import chain

from holdfast.errors import HoldfastError
from holdfast.systems.delta.capture.pin import Pinned, Wanted, pin
from holdfast.systems.delta.store import Store


def vanished(store: Store, pinned: Pinned, asked: Callable[[Wanted], bool]) -> Sequence[Wanted]:
    """Those of the table's own data files and deletion vectors (of those that are ``asked`` for) that its folder lacks, by one listing.

    Only what the table's newest version needs, too: a vacuum may rightly remove what a commit took out since the version was pinned.
    Files of other tables (absolute addresses) are not looked for. Raises what the store raises.
    """
    lacking = {one.key for one in _own(pinned) if asked(one)}
    for thing in store.things(pinned.folder) if lacking else ():
        lacking.discard(thing.key)
    if not lacking:
        return ()
    try:
        now = pin(store, pinned.name)
    except HoldfastError:
        return ()  # it is being replaced or removed: the next capture tells
    return [one for one in _own(now) if one.key in lacking] if now.snapshot.id == pinned.snapshot.id else ()


def _own(pinned: Pinned) -> "chain[Wanted]":
    return chain(*((one for one in some if one.address is None) for some in (pinned.data(), pinned.vectors())))
