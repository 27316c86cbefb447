"""The continuity plan: a YAML file becomes typed objects, or an error that names the line and says what would be right."""

from holdfast.plan.beside import beside
from holdfast.plan.effective import EffectiveSystem
from holdfast.plan.errors import BadValue, KindNotThereYet, Mark, PlanInvalid, PlanMissing, Problem, UnknownLocation, UnknownSystem
from holdfast.plan.loader import DEFAULT_NAME, examine, load
from holdfast.plan.plan import Plan
from holdfast.plan.shape.promise import Keep, Verify
from holdfast.plan.shape.systems import AVAILABLE, KINDS, CheckSpec, SystemSpec
from holdfast.plan.shape.vault import Location
from holdfast.plan.values.cron import Schedule, parse_schedule
from holdfast.plan.values.secret import Address, SecretRef
from holdfast.plan.values.units import format_duration, format_rate, format_size, human_size, parse_duration, parse_rate, parse_size

__all__ = [
    "AVAILABLE",
    "DEFAULT_NAME",
    "KINDS",
    "Address",
    "BadValue",
    "CheckSpec",
    "EffectiveSystem",
    "Keep",
    "KindNotThereYet",
    "Location",
    "Mark",
    "Plan",
    "PlanInvalid",
    "PlanMissing",
    "Problem",
    "Schedule",
    "SecretRef",
    "SystemSpec",
    "UnknownLocation",
    "UnknownSystem",
    "Verify",
    "beside",
    "examine",
    "format_duration",
    "format_rate",
    "format_size",
    "human_size",
    "load",
    "parse_duration",
    "parse_rate",
    "parse_schedule",
    "parse_size",
]
