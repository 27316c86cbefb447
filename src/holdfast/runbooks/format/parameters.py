"""Typed parameters: what a person gives as text becomes a JSON-ready value, or an error that says what would be right."""

import datetime as dt
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from holdfast.plan.errors import BadValue, did_you_mean
from holdfast.plan.shape.base import Part
from holdfast.plan.shape.types import Text
from holdfast.plan.values.moments import BadTime, parse_time
from holdfast.plan.values.secret import SecretRef
from holdfast.plan.values.units import parse_duration, parse_size
from holdfast.runbooks.errors import ParameterWrong

LONGEST = 4096
UTC = ZoneInfo("UTC")
Kind = Literal["text", "integer", "number", "boolean", "choice", "time", "duration", "size", "path", "name", "url", "system", "secret"]
_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


class Parameter(Part):
    """What the runbook asks for. ``from``: where a secret is kept; its value is read when a step needs it and never written down."""

    type: Kind = "text"
    ask: Text | None = None
    default: str | int | float | bool | None = None
    required: bool = True
    of: tuple[Text, ...] = ()
    pattern: Text | None = None
    min: float | None = None
    max: float | None = None
    place: SecretRef | None = Field(None, alias="from")
    example: Annotated[str | None, Field(description="shown when it is asked for")] = None


def values(
    shapes: Mapping[str, Parameter],
    given: Mapping[str, Any],
    *,
    now: dt.datetime,
    zone: ZoneInfo,
    systems: Sequence[str] | None = None,
) -> dict[str, Any]:
    """A value for every parameter but secrets, which become their places. Raises ParameterWrong naming all that is missing."""
    for name in given:
        if name not in shapes:
            hint = did_you_mean(name, shapes) if shapes else "it takes none"
            raise ParameterWrong(f"The runbook has no parameter '{name}'.", hint=hint[:1].upper() + hint[1:] + ".", parameter=name)
    found: dict[str, Any] = {}
    missing = []
    for name, shape in shapes.items():
        raw = given.get(name, shape.default)
        if shape.type == "secret":
            found[name] = _place(name, shape, given.get(name))
        elif raw is not None:
            found[name] = value(name, shape, raw, now=now, zone=zone, systems=systems)
        elif shape.required:
            missing.append(name)
        else:
            found[name] = None
    if missing:
        hint = " ".join(f"--param {name}=…" for name in missing)
        raise ParameterWrong(f"No value was given for {', '.join(missing)}.", hint=f"Give {hint}", missing=missing)
    return found


def value(name: str, shape: Parameter, raw: Any, *, now: dt.datetime, zone: ZoneInfo = UTC, systems: Sequence[str] | None = None) -> Any:
    """JSON-ready. Raises ParameterWrong; a text's value is repeated only where it is no secret."""
    try:
        read: Callable[[Parameter, Any, _Where], Any] = _READ.get(shape.type, _text)
        return read(shape, raw, _Where(now, zone, systems))
    except (BadValue, BadTime) as error:
        hint = error.hint[:1].upper() + error.hint[1:]
        raise ParameterWrong(
            f"Parameter {name}: {error.message.rstrip('.')}.", hint=hint or f"It is of type {shape.type}.", parameter=name
        ) from None


class _Where:
    def __init__(self, now: dt.datetime, zone: ZoneInfo, systems: Sequence[str] | None) -> None:
        self.now = now
        self.zone = zone
        self.systems = systems


def _text(shape: Parameter, raw: Any, _where: _Where) -> str:
    text = str(raw).lower() if isinstance(raw, bool) else str(raw)
    if len(text) > LONGEST:
        raise BadValue(f"{len(text)} characters are too many", hint=f"at most {LONGEST}")
    if _CONTROL.search(text):
        raise BadValue("line breaks and control characters do not belong here", hint="write one line of text")
    if shape.pattern and not re.fullmatch(shape.pattern, text):
        raise BadValue(f"'{text}' does not match {shape.pattern}", hint=f"for example: {shape.example}" if shape.example else "")
    return text


def _integer(shape: Parameter, raw: Any, _where: _Where) -> int:
    try:
        if isinstance(raw, bool) or (isinstance(raw, float) and not raw.is_integer()):
            raise ValueError
        return int(_within(shape, int(raw) if not isinstance(raw, str) else int(raw.strip(), 10)))
    except ValueError:
        raise BadValue(f"'{raw}' is no whole number") from None


def _number(shape: Parameter, raw: Any, _where: _Where) -> float:
    try:
        found = float(raw)
    except (TypeError, ValueError):
        raise BadValue(f"'{raw}' is no number") from None
    if found != found or found in (float("inf"), float("-inf")):  # noqa: PLR0124 - not a number is not equal to itself
        raise BadValue(f"'{raw}' is no number")
    return _within(shape, found)


def _within(shape: Parameter, number: float) -> float:
    if shape.min is not None and number < shape.min:
        raise BadValue(f"{number} is too small", hint=f"at least {shape.min:g}")
    if shape.max is not None and number > shape.max:
        raise BadValue(f"{number} is too large", hint=f"at most {shape.max:g}")
    return number


def _boolean(_shape: Parameter, raw: Any, _where: _Where) -> bool:
    if isinstance(raw, bool):
        return raw
    word = str(raw).strip().lower()
    if word not in ("true", "false", "yes", "no"):
        raise BadValue(f"'{raw}' is neither true nor false", hint="write true or false")
    return word in ("true", "yes")


def _choice(shape: Parameter, raw: Any, _where: _Where) -> str:
    if str(raw) not in shape.of:
        raise BadValue(f"'{raw}' is not one of {', '.join(shape.of)}", hint=did_you_mean(str(raw), shape.of))
    return str(raw)


def _time(shape: Parameter, raw: Any, where: _Where) -> str:
    """The instant, or one of the words in ``of`` (latest)."""
    if str(raw) in shape.of:
        return str(raw)
    return parse_time(str(raw), now=where.now, zone=where.zone).isoformat()


def _duration(shape: Parameter, raw: Any, where: _Where) -> str:
    parse_duration(raw)
    return _text(shape, raw, where)


def _size(shape: Parameter, raw: Any, where: _Where) -> str:
    parse_size(raw)
    return _text(shape, raw, where)


def _path(shape: Parameter, raw: Any, where: _Where) -> str:
    text = _text(shape, raw, where)
    if not text or text.startswith("-"):
        raise BadValue(f"'{text}' is no path", hint="write ./-name for a name that begins with a dash")
    return text


def _name(shape: Parameter, raw: Any, where: _Where) -> str:
    text = _text(shape, raw, where)
    if not _NAME.fullmatch(text):
        raise BadValue(f"'{text}' is no name", hint="use letters, digits, '-', '_' and '.', beginning with a letter or digit")
    return text


def _url(shape: Parameter, raw: Any, where: _Where) -> str:
    text = _text(shape, raw, where)
    if not re.match(r"[a-z][a-z0-9+.-]*://[^\s]+$", text):
        raise BadValue(f"'{text}' is no URL", hint="begin with https:// or another scheme")
    return text


def _system(shape: Parameter, raw: Any, where: _Where) -> str:
    text = _name(shape, raw, where)
    if where.systems is not None and text not in where.systems:
        raise BadValue(f"the plan has no system '{text}'", hint=did_you_mean(text, where.systems))
    return text


_READ: dict[str, Callable[[Parameter, Any, _Where], Any]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "choice": _choice,
    "time": _time,
    "duration": _duration,
    "size": _size,
    "path": _path,
    "name": _name,
    "url": _url,
    "system": _system,
}


def _place(name: str, shape: Parameter, given: Any) -> dict[str, Any]:
    """Where the secret is kept: as the runbook says, or ``env:NAME`` / ``file:PATH`` as a person gave it."""
    if given is not None:
        how, colon, rest = str(given).partition(":")
        if not colon or how not in ("env", "file") or not rest:
            raise ParameterWrong(
                f"Parameter {name} is a secret: its value is not given here (it is not repeated).",
                hint=f"Say where it is kept: --param {name}=env:VARIABLE or {name}=file:PATH",
                parameter=name,
            )
        return {how: rest}
    if shape.place is None:
        raise ParameterWrong(
            f"Nothing says where the secret {name} is kept.", hint=f"Give --param {name}=env:VARIABLE or {name}=file:PATH", missing=[name]
        )
    return {key: each for key, each in shape.place.model_dump(mode="json").items() if each is not None}
