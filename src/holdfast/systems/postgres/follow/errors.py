"""What ends following for good, until somebody decides."""

from holdfast.errors import FoundWrong, Refused
from holdfast.systems.postgres import lsn


class WalGap(FoundWrong):
    """WAL that belongs between what is stored and what the server still has is gone."""

    code = "pg-wal-gap"

    def __init__(self, branch: str, start: int, end: int | None, why: str) -> None:
        upto = lsn.show(end) if end is not None else "where the server's WAL begins"
        super().__init__(
            f"WAL from {lsn.show(start)} to {upto} of {branch} is missing: {why}",
            hint="Take a new base backup now, then let following go on behind the gap; moments inside it cannot be restored.",
            branch=branch,
            missing_from=lsn.show(start),
            missing_to=None if end is None else lsn.show(end),
        )
        self.branch = branch
        self.start = start
        self.end = end


class OtherSystem(Refused):
    """The server is not the cluster whose log is stored under this name."""

    code = "pg-system-identifier"

    def __init__(self, name: str, found: str, known: str) -> None:
        super().__init__(
            f"The server's system identifier is {found}; the log of '{name}' in the vault belongs to {known}.",
            hint="Give the new cluster a name of its own in the plan, or correct the address.",
            found=found,
            known=known,
        )


class ServerBehind(Refused):
    """The server stands on a history that the stored log has left: an old primary that still runs, or one that was rolled back."""

    code = "pg-timeline-behind"


class WalConflict(Refused):
    """The server has other bytes than the vault under one position of one branch."""

    code = "pg-wal-conflict"
