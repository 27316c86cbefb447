"""Incidents: who is told, how fast somebody must answer, when the post-mortem and the plan's review are due."""

import datetime as dt
from typing import Annotated, Literal, get_args

from pydantic import BeforeValidator, Field, WithJsonSchema

from holdfast.plan.shape.base import Part
from holdfast.plan.shape.types import Duration, Name, OneOrMany, Text, When

Level = Literal["P1", "P2", "P3", "P4"]
Trigger = Literal["missed", "unknown", "verify", "drill"]


def _level(value: object) -> object:
    """SEV1 is another name of P1."""
    return f"P{value.upper().removeprefix('SEV')}" if isinstance(value, str) and value.upper().startswith("SEV") else value


_WORDS = [*get_args(Level), *(f"SEV{number}" for number in range(1, 5))]
Severity = Annotated[
    Level, BeforeValidator(_level), WithJsonSchema({"type": "string", "enum": _WORDS, "description": "P1 (SEV1) is the worst"})
]


class SeverityRule(Part):
    """What a severity means here. ``update``: how often people outside are told where it stands."""

    meaning: Text | None = None
    update: Duration | None = None
    escalate: bool = Field(True, strict=True, description="page the next person while nobody has acknowledged")


class Incidents(Part):
    """``on_call`` answers for systems without an owner; ``tell`` hears of every incident. ``severity``: by tier.

    ``declare``: what declares an incident by itself when ``due --run`` meets it: a missed promise, one that nobody knows about, a failed
    proof, a failed drill.
    """

    on_call: Name | None = None
    tell: Annotated[tuple[Name, ...], OneOrMany()] = ()
    severity: dict[Name, Severity] = Field(default_factory=dict, description="tier: P1 to P4; without it tiers are ranked by their RTO")
    severities: dict[Severity, SeverityRule] = Field(default_factory=dict)
    roles: dict[Name, Name] = Field(default_factory=dict, description="role: who of people takes it from the beginning")
    declare: Annotated[tuple[Trigger, ...], OneOrMany()] = ("missed", "verify", "drill")
    postmortem: Duration = Field(dt.timedelta(hours=48), description="finished this long after the resolution")
    acknowledge: Duration = Field(dt.timedelta(minutes=15), description="who was paged last has this long before everybody is told")
    repeat: Duration | None = Field(None, description="when everybody was told and nobody answers: tell them again after this")
    review: When | None = Field(None, description="when somebody has to go through the written plan")
