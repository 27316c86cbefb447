"""What can go wrong with a store of objects."""

from holdfast.errors import Refused, Unreachable, Usage


class StoreUnreachable(Unreachable):
    """A store of objects did not answer, or answered nonsense, for as long as it was waited for."""

    code = "object-store-unreachable"


class StoreThrottled(StoreUnreachable):
    """A store of objects said all the time that it is asked too much."""

    code = "object-store-throttled"


class StoreDenied(Unreachable):
    """A store of objects refused: wrong credentials, no such bucket, or no right to do that."""

    code = "object-store-denied"


class StoreUntrusted(StoreDenied):
    """The certificate of a store of objects is not one that may be believed, or nothing would be verified at all."""

    code = "object-store-untrusted"


class StoreAddress(Usage):
    """The address of a store of objects is not understood."""

    code = "object-store-address"


class ObjectDenied(StoreDenied):
    """One object may not be read or written with these credentials, or is archived."""

    code = "object-denied"


class ObjectGone(Refused):
    """An object is not there any more."""

    code = "object-gone"


class ObjectChanged(Refused):
    """An object was replaced while it was read."""

    code = "object-changed"


class KeyImpossible(Refused):
    """A key cannot be stored there: a folder takes no such name."""

    code = "object-key-impossible"


def shown(key: str | None) -> str:
    """A key in a sentence: what a terminal could take for more than a name is escaped."""
    return "" if key is None else key if key.isprintable() else ascii(key)[1:-1]
