"""One tree of errors: each has a stable code, what happened, what to do about it, and an exit status.

Rooms define their own errors beside the code that raises them, as subclasses of the five families here; the reference page of
errors is generated from the tree. ``code`` is part of the contract with scripts and never changes once released.
"""

from typing import Any, ClassVar


class HoldfastError(Exception):
    """Base of everything Holdfast raises on purpose. Anything else that reaches a user is a bug.

    ``message`` says what happened, ``hint`` what to do; ``details`` are JSON-ready facts for scripts. Neither may hold a secret.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details


class FoundWrong(HoldfastError):
    """The operation ran and found something wrong: a failed check, a missed objective."""

    code = "found-wrong"
    status = 1


class Usage(HoldfastError):
    """Wrong usage or a wrong plan."""

    code = "usage"
    status = 2


class Unreachable(HoldfastError):
    """A system or a location could not be reached."""

    code = "unreachable"
    status = 3


class Refused(HoldfastError):
    """Refused, because it would destroy or overwrite something, or cannot be proved safe."""

    code = "refused"
    status = 4


class Damaged(HoldfastError):
    """The vault is damaged, or what came back from it is not believed."""

    code = "vault-damaged"
    status = 5


class MissingExtra(Usage):
    """An optional driver is not installed."""

    code = "missing-extra"

    def __init__(self, extra: str, what: str) -> None:
        super().__init__(f"{what} needs the extra '{extra}', which is not installed.", hint=f"pip install 'holdfast[{extra}]'", extra=extra)
