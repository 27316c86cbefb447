"""The shapes of a runbook's front matter and of its step blocks. Actions (``shell:``, ``sql:`` …) are read beside them, by the registry."""

import datetime as dt
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from holdfast.plan.shape.base import Part
from holdfast.plan.shape.types import Duration, Name, OneOrMany, Text, Texts
from holdfast.runbooks.format.parameters import Parameter

StepId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$")]
Identifier = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$")]
Scalar = str | int | float | bool | None


def _named(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def _said(value: Any) -> Any:
    return {"text": value} if isinstance(value, str) else value


class Tool(Part):
    """A program that must be there for who runs the runbook."""

    name: Text
    why: Text | None = None


class Access(Part):
    """What the person must be able to reach. Its ``check`` is an action that only looks; it is read beside this shape."""

    text: Text


class Needs(Part):
    """Prerequisites. ``information``: what must be known before the start, in words."""

    tools: Annotated[tuple[Annotated[Tool, BeforeValidator(_named)], ...], OneOrMany()] = ()
    information: Texts = ()


class Front(Part):
    """The front matter. ``needs.access`` is read apart from it."""

    runbook: Name
    title: Text
    purpose: Text | None = None
    systems: Annotated[tuple[Name, ...], OneOrMany()] = ()
    affects: Texts = ()
    trigger: Text | None = None
    rto: Duration | None = None
    rpo: Duration | None = None
    severity: Text | None = None
    owner: Text | None = None
    parameters: dict[Identifier, Parameter] = Field(default_factory=dict)
    roles: dict[Identifier, Annotated[tuple[Text, ...], OneOrMany()]] = Field(default_factory=dict)
    accounts: Literal["personal", "shared"] = "personal"
    needs: Needs = Field(default_factory=Needs)


class Retry(Part):
    """``times`` more tries after the first, ``delay`` apart."""

    times: Annotated[int, Field(ge=1, le=100, strict=True)]
    delay: Duration = Field(default_factory=lambda: _seconds(10))


class Step(Part):
    """What every kind of step may say."""

    id: StepId
    title: Text | None = None
    when: dict[str, Scalar | tuple[Scalar, ...]] | None = None


class Automatic(Step):
    """``expect``: values that its JSON must show; ``outputs``: values taken out of it. ``repeatable``: doing it twice does no harm."""

    kind: Literal["automatic"] = "automatic"
    timeout: Duration = Field(default_factory=lambda: _seconds(3600))
    retry: Retry | None = None
    repeatable: bool | None = None
    outputs: dict[Identifier, Text] = Field(default_factory=dict)
    expect: dict[Text, Scalar] | None = None


class Human(Step):
    """``do`` this, then confirm. ``who``: a role."""

    kind: Literal["human"]
    do: Text
    who: Identifier | None = None
    note: bool = False


class Decision(Step):
    """``choose`` one: name → what it means."""

    kind: Literal["decision"]
    ask: Text
    choose: dict[Identifier, Text]
    who: Identifier | None = None


class Approval(Step):
    """``quorum`` people of the role ``by``, none of them who asked, within ``expires``. ``break_glass``: the role that may go
    on without.
    """

    kind: Literal["approval"]
    ask: Text
    by: Identifier
    quorum: Annotated[int, Field(ge=1, le=20, strict=True)] = 1
    expires: Duration = Field(default_factory=lambda: _seconds(3600))
    break_glass: Identifier | None = None


class Wait(Step):
    """Until a check is green; it is looked at ``every`` so often, for ``timeout`` at most."""

    kind: Literal["wait"]
    every: Duration = Field(default_factory=lambda: _seconds(10))
    timeout: Duration


KINDS: dict[str, type[Step]] = {"automatic": Automatic, "human": Human, "decision": Decision, "approval": Approval, "wait": Wait}


class Doing(Part):
    """What may stand beside the action in ``probe:``, ``until:`` and ``check:``."""

    expect: dict[Text, Scalar] | None = None
    timeout: Duration = Field(default_factory=lambda: _seconds(60))


class Undoing(Part):
    """Beside the action in ``undo:``; or ``do``, for a person."""

    do: Text | None = None
    timeout: Duration = Field(default_factory=lambda: _seconds(3600))


def _seconds(number: int) -> Any:
    return dt.timedelta(seconds=number)
