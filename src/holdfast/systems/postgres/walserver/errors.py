"""What keeps a WAL file from being served or taken in."""

from holdfast.errors import FoundWrong, Refused, Unreachable
from holdfast.systems.postgres import lsn


class WalIncomplete(FoundWrong):
    """A segment's beginning is missing, while later WAL of the branch is there."""

    code = "pg-wal-incomplete"

    def __init__(self, branch: str, start: int, end: int) -> None:
        super().__init__(
            f"WAL from {lsn.show(start)} to {lsn.show(end)} of {branch} is not in the vault, though later WAL is.",
            hint="Restore to a moment before the gap, or from a base behind it.",
            branch=branch,
            missing_from=lsn.show(start),
            missing_to=lsn.show(end),
        )


class WalUnavailable(Unreachable):
    """The WAL is not durable yet, or whether it is there cannot be told now: ask again."""

    code = "pg-wal-unavailable"


class WalDiffers(Refused):
    """An archived file holds other bytes than the log under the same name."""

    code = "pg-wal-file-differs"

    def __init__(self, name: str, branch: str) -> None:
        super().__init__(
            f"{name} holds other bytes than the vault's log {branch} under the same positions.",
            hint="Two servers write as one (a clone, a copy that was promoted). Find out which one is meant; give the other its own name.",
            name=name,
            branch=branch,
        )
