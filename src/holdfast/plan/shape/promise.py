"""What is promised for a system, and how it is kept. A tier holds one; a system may override any key of its tier."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from holdfast.plan.shape.base import Part
from holdfast.plan.shape.types import Duration, Name, OneOrMany, When

EVERYWHERE = "*"


def _by_location(value: Any) -> Any:
    return value if isinstance(value, dict) else {EVERYWHERE: value}


def _as_written(value: dict[str, Any]) -> Any:
    from holdfast.plan.values.units import format_duration

    texts = {name: format_duration(duration) for name, duration in value.items()}
    return texts.get(EVERYWHERE, texts)


_DURATION_SCHEMA: dict[str, Any] = {"type": ["string", "integer"], "description": "a duration: 5s 15m 4h 2d"}
Rpo = Annotated[
    dict[str, Duration],
    BeforeValidator(_by_location),
    PlainSerializer(_as_written),
    WithJsonSchema({"anyOf": [_DURATION_SCHEMA, {"type": "object", "additionalProperties": _DURATION_SCHEMA}]}),
]
Count = Annotated[int, Field(ge=1, strict=True)]


class Keep(Part):
    """Retention: each rule keeps the newest point of each of its last N calendar periods that hold one; ``within`` keeps all that young."""

    last: Count | None = None
    hourly: Count | None = None
    daily: Count | None = None
    weekly: Count | None = None
    monthly: Count | None = None
    yearly: Count | None = None
    within: Duration | None = None

    @property
    def empty(self) -> bool:
        return not any(getattr(self, name) is not None for name in type(self).model_fields)


class Verify(Part):
    """How often each depth of proof is due: the vault's structure, a restore with checks and comparison, one that a person does by hand.

    And how a restored copy is compared with its source: whole, or by a sample that is so large that with ``confidence`` (percent) fewer
    than ``share`` (percent) of the rows, files or objects differ when none of the sample does.
    """

    structure: When | None = None
    restore: When | None = None
    spot_check: When | None = Field(None, description="a person restores a small data set by the guide, and records it")
    compare: Literal["exact", "sample"] | None = None
    confidence: float | None = Field(None, ge=50, lt=100, description="percent; 95 if not said")
    share: float | None = Field(None, gt=0, le=50, description="percent; 0.1 if not said")
    on: Literal["primary", "standby"] | None = Field(None, description="which member is compared with")


class Promise(Part):
    """RPO, RTO and MTD with the schedule, retention and places that keep them. Absent keys are decided elsewhere (the tier, or nothing)."""

    rpo: Rpo | None = Field(None, description="at most this much is lost: one value, or one for each location")
    rto: Duration | None = Field(None, description="back within this")
    mtd: Duration | None = Field(None, description="the longest the business can bear")
    backup: When | None = Field(None, description="when recovery points are taken")
    continuous: bool | None = Field(None, strict=True, description="follow the log between backups")
    verify: Verify | None = None
    drill: When | None = None
    keep: Keep | None = None
    locations: Annotated[tuple[Name, ...], OneOrMany()] | None = None
    min_copies: Count | None = Field(None, description="a point counts as protected only in this many locations")


class Tier(Promise):
    """A criticality and its promise."""
