"""Why a prune is refused."""

from holdfast.errors import Refused


class PruneTooMuch(Refused):
    """The prune would delete a larger share of the vault than allowed."""

    code = "prune-share"


class PruneUnsure(Refused):
    """Something that could name what is still needed cannot be read."""

    code = "prune-unsure"
