"""What every kind of system has in the plan."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from holdfast.plan.errors import BadValue
from holdfast.plan.shape.base import Part
from holdfast.plan.shape.promise import Promise
from holdfast.plan.shape.types import Duration, Name, Text

Label = Annotated[str, Field(max_length=200)]


class CheckSpec(Part):
    """A question to the restored copy.

    Exactly one of ``sql``, ``command``, ``suite``; of the first two, exactly one of ``expect`` (the answer) and ``compare: source`` (the
    answer is captured at the coordinate that the point belongs to, on the member that ``on`` names). A suite holds what it expects itself.
    """

    name: Text
    sql: Text | None = None
    command: Text | None = None
    suite: Text | None = Field(None, description="file of a Great Expectations suite, beside the plan; for table")
    table: Text | None = Field(None, description="what the suite is about: a table; of files, Parquet or CSV files by their path")
    database: Text | None = None
    expect: Any = None
    compare: Literal["source"] | None = None
    on: Literal["primary", "standby"] | None = None
    timeout: Duration | None = None

    @model_validator(mode="after")
    def _one_question_one_answer(self) -> Self:
        if sum(one is not None for one in (self.sql, self.command, self.suite)) != 1:
            raise BadValue(f"check '{self.name}' needs one question", hint="write one of sql:, command: and suite:")
        if (self.suite is None) != (self.table is None):
            raise BadValue(f"check '{self.name}' needs suite: and table: together", hint="write suite: FILE and table: NAME")
        if self.suite is not None:
            if "expect" in self.model_fields_set or self.compare is not None or self.on is not None:
                raise BadValue(f"check '{self.name}' has a suite, which holds what it expects", hint="leave expect:, compare: and on: out")
            return self
        if ("expect" in self.model_fields_set) == (self.compare is not None):
            raise BadValue(f"check '{self.name}' needs one expected answer", hint="write either expect: VALUE or compare: source")
        if self.on is not None and self.compare is None:
            raise BadValue(
                f"check '{self.name}' says where to ask the source, but not to compare with it",
                hint="add compare: source, or leave on: out",
            )
        return self


class SystemSpec(Promise):
    """A protected system: which kind, which tier, whose. Keys of the promise override the tier's, each as a whole."""

    continuous_possible: ClassVar[bool] = False

    kind: str
    tier: Name | None = None
    labels: dict[str, Label] = Field(default_factory=dict)
    owner: Name | None = None
    failure_domain: Text | None = None
    scope: Name | None = Field(None, description="the vault's scope whose key this system's data has")
    checks: tuple[CheckSpec, ...] = ()

    def missing(self) -> str:
        """What is still needed to reach the system, as a phrase; empty when nothing is."""
        return ""
