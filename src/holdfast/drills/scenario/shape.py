"""What a scenario may say."""

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator

from holdfast.drills.contract import CONTROLS
from holdfast.plan.errors import BadValue
from holdfast.plan.shape.base import Part
from holdfast.plan.shape.types import Duration, Name, OneOrMany, Text, Texts, When
from holdfast.plan.values.secret import KeyRef

Criterion = Literal["sentinel", "structure", "checks", "content", "probes"]
ALL: tuple[Criterion, ...] = ("sentinel", "structure", "checks", "content")
DISASTERS = ("system-lost", "table-corrupted", "location-lost", "ransomware", "key-holder-absent")
BY_RUNBOOK = ("system-lost", "table-corrupted")
"""Disasters after which recovery reads what the plan says: a runbook's commands do so by themselves."""
Scalar = str | int | float | bool | None


class Disaster(Part):
    """``at``: ``copy``, or a target of the plan."""

    kind: Literal["system-lost", "table-corrupted", "location-lost", "ransomware", "key-holder-absent"]
    at: Name = "copy"
    table: Text | None = None
    location: Name | None = None
    key: KeyRef | None = None

    @model_validator(mode="after")
    def _fits(self) -> "Disaster":
        for word, kinds in (("table", ("table-corrupted",)), ("location", ("location-lost",)), ("key", ("key-holder-absent",))):
            if getattr(self, word) is not None and self.kind not in kinds:
                raise BadValue(f"'{word}' says nothing to a disaster of kind {self.kind}", hint=f"it belongs to {kinds[0]}")
        if self.kind == "ransomware" and self.at == "copy":
            raise BadValue("ransomware needs a target that locks", hint="at: the name of a target of the plan (drills: targets:)")
        if self.kind not in ("ransomware", "table-corrupted") and self.at != "copy":
            raise BadValue(f"a disaster of kind {self.kind} happens to no target", hint="leave 'at' out")
        return self


class Objectives(Part):
    """What is not said is the promise of each system."""

    rto: Duration | None = None
    rpo: Duration | None = None


class ProbeSpec(Part):
    """``sql`` or ``command`` (a shell's, which finds the copy's address in HOLDFAST_CONNECTION); ``expect``: None for a status of 0."""

    name: Text
    sql: Text | None = None
    command: Text | None = None
    database: Text | None = None
    expect: Scalar = None
    every: Duration = Field(default_factory=lambda: dt.timedelta(seconds=1))

    @model_validator(mode="after")
    def _one(self) -> "ProbeSpec":
        if (self.sql is None) == (self.command is None):
            raise BadValue(f"the probe '{self.name}' needs one of sql and command", hint="write one of them")
        if self.sql is not None and self.expect is None:
            raise BadValue(f"the probe '{self.name}' says nothing that it expects", hint="add expect:")
        return self


class QuestionSpec(Part):
    """Of a tabletop. ``expect``: what a good answer holds, shown after it was given; ``critical``: a no is a failed check."""

    id: Name
    ask: Text
    expect: Text
    who: Name | None = None
    critical: bool = True


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class RunbookSpec(Part):
    """The way back is a runbook of the plan. ``parameters``: may hold ``${into}``, a folder of the drill's own that goes at its end,
    ``${until}`` and ``${point}`` (of a system: ``${until.NAME}``), ``${incident}``, ``${nonce}``. ``allow``: steps that are played although
    nobody can tell what they reach; ``without``: step → why it is left out; ``clocks``: step → phase, where it is another than by its kind.
    """

    name: Text
    parameters: dict[Name, Scalar] = Field(default_factory=dict)
    allow: Texts = ()
    without: dict[Name, Text] = Field(default_factory=dict)
    clocks: dict[Name, Literal["decide", "wait", "prepare", "restore", "replay", "validate", "accept"]] = Field(default_factory=dict)


class FindingRule(Part):
    """``owner`` None: the system's, else the plan's, else who ran the drill."""

    owner: Text | None = None
    due: Duration = Field(default_factory=lambda: dt.timedelta(days=30))


def _negative(value: Any) -> Any:
    given = value if isinstance(value, list) else [value] if isinstance(value, str) else value
    return dict.fromkeys(given) if isinstance(given, list) else given


class Scenario(Part):
    """A scenario file."""

    drill: Name
    title: Text
    kind: Literal["tabletop", "restore", "failover", "full"] = "restore"
    about: str = ""
    scope: str = ""
    systems: Texts = ()
    disaster: Disaster | None = None
    runbook: Annotated[RunbookSpec | None, BeforeValidator(_named)] = None
    objectives: Objectives = Field(default_factory=Objectives)
    criteria: Annotated[tuple[Criterion, ...], OneOrMany(), Field(min_length=1)] = ALL
    negative: Annotated[dict[Literal["stale", "truncated", "poisoned"], When | None], BeforeValidator(_negative)] = Field(
        default_factory=dict
    )
    probes: tuple[ProbeSpec, ...] = ()
    roles: dict[Name, Annotated[tuple[Text, ...], OneOrMany()]] = Field(default_factory=dict)
    people: Literal["asked", "none"] = "asked"
    options: dict[Name, Text] = Field(default_factory=dict)
    exclusions: dict[Text, Text] = Field(default_factory=dict)
    backup: Literal["new", "none"] = "new"
    questions: tuple[QuestionSpec, ...] = ()
    findings: FindingRule = Field(default_factory=FindingRule)

    @model_validator(mode="after")
    def _fits(self) -> "Scenario":
        if self.kind == "tabletop":
            if self.disaster is not None:
                raise BadValue("a tabletop has no disaster: nothing is touched", hint="leave it out, or write kind: restore")
            if not self.questions:
                raise BadValue("a tabletop asks people, and this one has no questions", hint="add questions:")
            if self.people == "none":
                raise BadValue("a tabletop without people is nothing", hint="leave people: out")
            if self.runbook is not None:
                raise BadValue("a tabletop follows no runbook: nothing is touched", hint="leave runbook: out, or write kind: restore")
            return self
        if self.disaster is None:
            raise BadValue("nothing happens in this drill", hint=f"add disaster: with a kind: {', '.join(DISASTERS)}")
        if self.runbook is not None and (self.disaster.kind not in BY_RUNBOOK or self.disaster.at != "copy"):
            raise BadValue(
                f"no runbook is followed after a disaster of kind {self.disaster.kind} at {self.disaster.at}: it reads the plan as it is",
                hint=f"{' or '.join(BY_RUNBOOK)}, at: copy",
            )
        for control, criterion in (("stale", "sentinel"), ("poisoned", "content")):
            if control in self.negative and criterion not in self.criteria:
                raise BadValue(f"the control {control} must be red by {criterion}, which is no criterion", hint="add it to criteria:")
        if "probes" in self.criteria and not self.probes:
            raise BadValue("probes are a criterion, and there is none", hint="add probes:")
        return self


assert tuple(CONTROLS) == ("stale", "truncated", "poisoned")
