"""Which systems a person means: names, globs, ``label:team=core``, ``kind:postgres``, ``tier:critical``."""

import fnmatch
from collections.abc import Iterable, Mapping

from holdfast.plan.errors import UnknownSystem, did_you_mean
from holdfast.plan.shape.systems import SystemSpec

_ASPECTS = ("label", "kind", "tier")


def select(systems: Mapping[str, SystemSpec], patterns: Iterable[str] = ()) -> tuple[str, ...]:
    """Names in the plan's order, each once; all of them without a pattern.

    Raises UnknownSystem for a pattern that matches nothing, with the nearest name.
    """
    wanted: set[str] = set()
    asked = list(patterns)
    for pattern in asked:
        found = {name for name, spec in systems.items() if _matches(pattern, name, spec)}
        if not found:
            raise UnknownSystem(
                f"No system of the plan matches '{pattern}'.", hint=_hint(systems, pattern), pattern=pattern, systems=list(systems)
            )
        wanted |= found
    return tuple(name for name in systems if name in wanted or not asked)


def _matches(pattern: str, name: str, spec: SystemSpec) -> bool:
    aspect, colon, value = pattern.partition(":")
    if not colon or aspect not in _ASPECTS:
        return fnmatch.fnmatchcase(name, pattern)
    if aspect == "kind":
        return fnmatch.fnmatchcase(spec.kind, value)
    if aspect == "tier":
        return fnmatch.fnmatchcase(spec.tier or "", value)
    key, equals, wanted = value.partition("=")
    return key in spec.labels and (not equals or fnmatch.fnmatchcase(spec.labels[key], wanted))


def _hint(systems: Mapping[str, SystemSpec], pattern: str) -> str:
    aspect, colon, value = pattern.partition(":")
    if colon and aspect == "label":
        known = {f"{key}={text}" for spec in systems.values() for key, text in spec.labels.items()}
        return f"label {did_you_mean(value, known)}".replace("label did", "Did") if known else "No system has labels."
    if colon and aspect == "kind":
        return did_you_mean(value, {spec.kind for spec in systems.values()}).capitalize()
    if colon and aspect == "tier":
        return did_you_mean(value, {spec.tier for spec in systems.values() if spec.tier}).capitalize()
    hint = did_you_mean(pattern, systems)
    return hint[:1].upper() + hint[1:]
