"""Limits, windows, sandbox, flows, pauses, prices, people: how the platform is run."""

import datetime as dt
from typing import Annotated, Literal

from pydantic import Field

from holdfast.plan.shape.base import Part
from holdfast.plan.shape.promise import Count
from holdfast.plan.shape.types import BucketUrl, DateRange, DayWindow, Duration, HttpUrl, Name, OneOrMany, Rate, Size, Text, Texts, When


class Limit(Part):
    """``rate`` in bytes a second over all reading from a system; ``workers`` threads."""

    rate: Rate | None = None
    workers: Annotated[int, Field(ge=1, le=1024, strict=True)] | None = None


class Limits(Limit):
    """What holds always, and what replaces it during a window (the first that fits)."""

    during: dict[DayWindow, Limit] = Field(default_factory=dict)

    def at(self, local: dt.datetime) -> Limit:
        """What applies at that local moment."""
        for window, limit in self.during.items():
            if window.holds(local):
                return Limit.model_construct(rate=limit.rate or self.rate, workers=limit.workers or self.workers)
        return Limit.model_construct(rate=self.rate, workers=self.workers)


class Windows(Part):
    """When backups may start, and when nothing may. Following goes on in both."""

    backup: Annotated[tuple[DayWindow, ...], OneOrMany()] = ()
    freeze: Annotated[tuple[DateRange, ...], OneOrMany()] = ()

    def closed(self, local: dt.datetime) -> str:
        """Why no backup may start at that local moment; empty when one may."""
        frozen = next((freeze for freeze in self.freeze if freeze.holds(local)), None)
        if frozen:
            return f"frozen {frozen}"
        if self.backup and not any(window.holds(local) for window in self.backup):
            return f"outside the window {', '.join(str(window) for window in self.backup)}"
        return ""


class Sandbox(Part):
    """Where isolated restores live: at most ``max`` at once, together at most ``size`` bytes."""

    directory: Text
    size: Size | None = None
    max: Count = 1


class Flow(Part):
    """``from`` feeds ``to``; each is SYSTEM or SYSTEM/RESOURCE."""

    source: Text = Field(alias="from")
    to: Text
    key: Text | None = None
    checkpoint: BucketUrl | None = None


class Hook(Part):
    """Commands round a quiesced capture; ``after`` always runs."""

    before: Text | None = None
    after: Text | None = None
    timeout: Duration | None = None


class Quiesce(Part):
    airflow: Annotated[tuple[Literal["pause"], ...], OneOrMany()] = ()
    hooks: tuple[Hook, ...] = ()


Price = Annotated[float, Field(ge=0)]


class Prices(Part):
    """``storage`` for a GiB and month in each location, ``downtime_per_hour`` for each tier, in ``currency``."""

    currency: Text | None = None
    storage: dict[Name, Price] = Field(default_factory=dict)
    downtime_per_hour: dict[Name, Price] = Field(default_factory=dict)


class Authority(Part):
    """Who stamps anchors with the time (RFC 3161). ``ca``: a PEM file with the authority's root."""

    url: HttpUrl
    ca: Text


class Evidence(Part):
    """How often the journal's head is anchored besides after each proof, and who puts a time stamp on it."""

    anchor: When | None = None
    timestamp: Annotated[tuple[Authority, ...], OneOrMany()] = ()


class Person(Part):
    """A team or a person: how to reach them, and who is next when nobody answers."""

    name: Text
    email: Annotated[tuple[Text, ...], OneOrMany()] = ()
    phone: Annotated[tuple[Text, ...], OneOrMany()] = ()
    channels: Texts = ()
    escalate_after: dict[Duration, Text] = Field(default_factory=dict)
