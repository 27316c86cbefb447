"""Where the state rests."""

from holdfast.plan.shape.base import Part
from holdfast.plan.values.secret import Address


class StatePart(Part):
    """Of several hosts: one PostgreSQL database that all of them reach. Without it each host has a file of its own."""

    dsn: Address
