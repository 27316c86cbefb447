"""Why a prune is refused."""

from holdfast.errors import Refused


class PruneBeside(Refused):
    """A backup is running: its session's lease has not ended."""

    code = "prune-beside-session"


class PruneTooMuch(Refused):
    """The prune would delete a larger share of the vault than allowed."""

    code = "prune-share"


class PruneUnsure(Refused):
    """Something that could name what is still needed cannot be read."""

    code = "prune-unsure"
