"""The whole file."""

from pydantic import Field, SkipValidation

from holdfast.plan.shape.base import Part
from holdfast.plan.shape.channels import Channel
from holdfast.plan.shape.drills import Drills
from holdfast.plan.shape.incidents import Incidents
from holdfast.plan.shape.operations import Evidence, Flow, Limits, Person, Prices, Quiesce, Sandbox, Windows
from holdfast.plan.shape.promise import Tier
from holdfast.plan.shape.state import StatePart
from holdfast.plan.shape.systems import SystemSpec
from holdfast.plan.shape.types import Name, Text, Texts, TimeZone
from holdfast.plan.shape.vault import VaultPart

Scalar = str | int | float | bool


class Document(Part):
    """A continuity plan after includes were merged, variables filled in and defaults applied.

    Each of ``defaults`` and ``systems`` is checked by the model of its kind (``checks.validate``), so that a plan builds no model that
    it does not use.
    """

    platform: Name
    include: Texts = Field((), description="files or globs beside this one, read first; later files win")
    vars: dict[str, Scalar] = Field(default_factory=dict, description="values for ${name} anywhere; --set name=value replaces them")
    timezone: TimeZone = "UTC"
    vault: VaultPart
    state: StatePart | None = Field(None, description="a PostgreSQL database for several hosts; a file of each host's own without it")
    tiers: dict[Name, Tier] = Field(default_factory=dict)
    limits: Limits = Field(default_factory=Limits.model_construct)
    windows: Windows = Field(default_factory=Windows.model_construct)
    sandbox: Sandbox | None = None
    defaults: dict[str, SkipValidation[SystemSpec]] = Field(default_factory=dict, description="by kind of system")
    systems: dict[Name, SkipValidation[SystemSpec]] = Field(default_factory=dict)
    flows: tuple[Flow, ...] = ()
    quiesce: Quiesce = Field(default_factory=Quiesce.model_construct)
    prices: Prices | None = None
    people: dict[Name, Person] = Field(default_factory=dict)
    channels: dict[Name, Channel] = Field(default_factory=dict)
    incidents: Incidents | None = None
    runbooks: Text | None = None
    evidence: Evidence = Field(default_factory=Evidence.model_construct)
    drills: Drills = Field(default_factory=Drills.model_construct)
