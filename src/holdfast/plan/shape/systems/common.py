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

    Exactly one of ``sql``, ``command``; exactly one of ``expect`` (the answer) and ``compare: source`` (the answer is captured at the
    coordinate that the point belongs to, on the member that ``on`` names).
    """

    name: Text
    sql: Text | None = None
    command: Text | None = None
    database: Text | None = None
    expect: Any = None
    compare: Literal["source"] | None = None
    on: Literal["primary", "standby"] | None = None
    timeout: Duration | None = None

    @model_validator(mode="after")
    def _one_question_one_answer(self) -> Self:
        if (self.sql is None) == (self.command is None):
            raise BadValue(f"check '{self.name}' needs one question", hint="write either sql: or command:")
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
