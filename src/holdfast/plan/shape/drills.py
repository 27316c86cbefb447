"""Where scenarios lie, and what a drill may really break."""

from pydantic import Field, model_validator

from holdfast.plan.errors import BadValue
from holdfast.plan.shape.base import Part
from holdfast.plan.shape.types import LocationUrl, Name, Text
from holdfast.plan.shape.vault import Endpoint, Lock
from holdfast.plan.values.secret import Address


class DrillTarget(Endpoint):
    """Either a system of the plan that exists for drills (``dsn``: an account there that may break things), or a place for a throw-away
    vault. Whatever is no target is production.
    """

    system: Name | None = None
    dsn: Address | None = None
    url: LocationUrl | None = None
    lock: Lock | None = None

    @model_validator(mode="after")
    def _one(self) -> "DrillTarget":
        if (self.system is None) == (self.url is None):
            raise BadValue("a target is a system or a place", hint="write one of system: and url:")
        if self.url is not None and self.dsn is not None:
            raise BadValue("dsn belongs to a target that is a system", hint="leave it out")
        return self


class Drills(Part):
    """``owner``: of findings that belong to no system. ``marks``: of a bucket or a lake, where below its address a drill may write: a
    folder of keys, or what its table's name begins with.
    """

    folder: Text | None = None
    owner: Text | None = None
    targets: dict[Name, DrillTarget] = Field(default_factory=dict)
    marks: dict[Name, Text] = Field(default_factory=dict)
