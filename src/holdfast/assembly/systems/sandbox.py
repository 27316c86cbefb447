"""What the plan says of isolated copies, for the systems that make them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.plan.shape.operations import Sandbox
    from holdfast.systems.shared.claims import Allowance


def allowance(sandbox: "Sandbox | None") -> "Allowance":
    """How many there may be at once, of which size together."""
    from holdfast.systems.shared.claims import Allowance

    return Allowance(sandbox.max, sandbox.size) if sandbox is not None else Allowance()
