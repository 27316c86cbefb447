"""What can go wrong with a vault, each with its own stable code."""

from holdfast.errors import Damaged, Refused, Unreachable, Usage


class VaultMissing(Usage):
    """A location holds no vault."""

    code = "vault-missing"


class VaultExists(Refused):
    """A location already holds a vault."""

    code = "vault-exists"


class VaultRemains(Refused):
    """A location without a config holds keys and what was kept under them."""

    code = "vault-remains"


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


class SlotUnproved(Refused):
    """No slot that would remain was ever seen to open."""

    code = "vault-slot-unproved"


class SlotRemoved(WrongKey):
    """The key is that of a slot which was removed, or which the keyring never listed."""

    code = "vault-slot-removed"


class SlotOld(Refused):
    """A slot was made before keys could be rotated, and would not open what is written from now on."""

    code = "vault-slot-old"


class SlotUnknown(Usage):
    """No key slot of that id or label."""

    code = "vault-slot-unknown"


class ObjectDamaged(Damaged):
    """Bytes in the vault are not what was written."""

    code = "vault-object-damaged"


class KeyringRolledBack(Damaged):
    """An older keyring stands where this machine has seen a newer one."""

    code = "vault-keyring-rolled-back"


class KeyringForked(Damaged):
    """Two locations hold different keyrings of the same generation."""

    code = "vault-keyring-forked"


class KeyringBusy(Unreachable):
    """Other key changes came first, time and again."""

    code = "vault-keyring-busy"


class KeyringPartly(Unreachable):
    """A key change is in force, but not every location has it yet."""

    code = "vault-keyring-partly"


class WriterRevoked(Refused):
    """The writer's key was revoked: nothing that it signs from then on is believed."""

    code = "vault-writer-revoked"


class WriterUnknown(Usage):
    """No writer of that id or label."""

    code = "vault-writer-unknown"


class ScopeUnknown(Usage):
    """The vault has no scope of that name."""

    code = "vault-scope-unknown"


class ScopeExists(Refused):
    """The vault has a scope of that name already."""

    code = "vault-scope-exists"


class ScopeClosed(Usage):
    """The key of a scope was not given, or does not open it."""

    code = "vault-scope-closed"


class ScopeErased(Refused):
    """The scope's key was destroyed: its history cannot be read any more."""

    code = "vault-scope-erased"


class NotBelieved(Damaged):
    """An object is not signed by a writer that the vault's root certified, or stands under another name."""

    code = "vault-not-believed"


class SignedAfterRevocation(NotBelieved):
    """A revoked writer signed it, and it was not there when the writer was revoked."""

    code = "vault-signed-after-revocation"


class PackDamaged(Damaged):
    """A pack or a frame in it cannot be authenticated in any location."""

    code = "vault-pack-damaged"


class ReusedDamaged(Damaged):
    """While a backup ran, a check found packs damaged that it reuses."""

    code = "vault-reused-damaged"


class PackMissing(Damaged):
    """A pack that a recovery point needs is in no location."""

    code = "vault-pack-missing"


class PointUnknown(Usage):
    """No recovery point of that id, prefix or label."""

    code = "point-unknown"


class PointGone(PointUnknown):
    """A prune removed the recovery point while it was read."""

    code = "point-gone"

    def __init__(self, point: str) -> None:
        super().__init__(
            f"The recovery point {point} was removed by a prune meanwhile.",
            hint="See 'holdfast points' for what is left; a hold keeps a point that is to be read for long: holdfast vault hold add.",
            point=point,
        )


class PointAmbiguous(Usage):
    """A prefix or label fits several recovery points."""

    code = "point-ambiguous"


class SessionAborted(Refused):
    """The session was aborted (its lease ran out, or somebody cancelled it) and can no longer become a recovery point."""

    code = "session-aborted"


class PointPartly(Unreachable):
    """The recovery point is committed and whole, but in fewer locations than the plan demands."""

    code = "point-not-everywhere"


class ClockSkew(Refused):
    """The local clock and the location's differ by more than five minutes."""

    code = "clock-skew"


class Condemned(Refused):
    """Packs that the session reuses were condemned by a prune meanwhile."""

    code = "packs-condemned"


class ObjectTooLarge(Usage):
    """A small object (a plan with its runbooks, say) is larger than the format allows."""

    code = "vault-object-too-large"


class TooLarge(Usage):
    """The whole content of a large file was asked for at once."""

    code = "file-too-large"


class TooFewLocations(Unreachable):
    """No location of the system's tier answers: there is nowhere to put a recovery point."""

    code = "too-few-locations"


class NotAllChecked(Unreachable):
    """A check could not look at every location: nothing wrong was found, and nobody knows whether all is right."""

    code = "vault-not-all-checked"
