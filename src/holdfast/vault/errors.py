"""What can go wrong with a vault, each with its own stable code."""

from holdfast.errors import Damaged, Refused, Unreachable, Usage


class VaultMissing(Usage):
    """A location holds no vault."""

    code = "vault-missing"


class VaultExists(Refused):
    """A location already holds a vault."""

    code = "vault-exists"


class VaultMixed(Refused):
    """The locations named together hold different vaults."""

    code = "vault-mixed"


class FormatNewer(Refused):
    """The vault was written in a format that this version does not know."""

    code = "vault-format-newer"


class WrongKey(Usage):
    """No slot of the vault opens with the key that was given."""

    code = "vault-wrong-key"


class RoleLacking(Usage):
    """The key is right, but its role may not do this."""

    code = "vault-role"


class LastSlot(Refused):
    """Removing the slot would leave nobody who can open or manage the vault."""

    code = "vault-last-slot"


class SlotUnknown(Usage):
    """No key slot of that id or label."""

    code = "vault-slot-unknown"


class ObjectDamaged(Damaged):
    """Bytes in the vault are not what was written."""

    code = "vault-object-damaged"


class NotBelieved(Damaged):
    """An object is not signed by a writer that the vault's root certified, or stands under another name."""

    code = "vault-not-believed"


class PackDamaged(Damaged):
    """A pack or a frame in it cannot be authenticated in any location."""

    code = "vault-pack-damaged"


class PackMissing(Damaged):
    """A pack that a recovery point needs is in no location."""

    code = "vault-pack-missing"


class PointUnknown(Usage):
    """No recovery point of that id, prefix or label."""

    code = "point-unknown"


class PointAmbiguous(Usage):
    """A prefix or label fits several recovery points."""

    code = "point-ambiguous"


class SessionAborted(Refused):
    """The session was aborted (its lease ran out, or somebody cancelled it) and can no longer become a recovery point."""

    code = "session-aborted"


class PointPartly(Unreachable):
    """The recovery point is committed and whole in the first location, but another one did not take its last object."""

    code = "point-not-everywhere"


class ClockSkew(Refused):
    """The local clock and the location's differ by more than five minutes."""

    code = "clock-skew"


class Condemned(Refused):
    """Packs that the session reuses were condemned by a prune meanwhile."""

    code = "packs-condemned"


class TooLarge(Usage):
    """The whole content of a large file was asked for at once."""

    code = "file-too-large"
