"""Durations (``5s 15m 4h 2d``, ``1h30m``), sizes (``64MiB``) and rates (``400MiB/s``), read and written."""

import datetime as dt
import re
from decimal import Decimal
from typing import Any

from holdfast.plan.errors import BadValue

_SECOND = 1_000_000
_UNITS = {"ms": 1000, "s": _SECOND, "m": 60 * _SECOND, "h": 3600 * _SECOND, "d": 86400 * _SECOND, "w": 7 * 86400 * _SECOND}
_SIZES = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40, "PiB": 1 << 50}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhdw])", re.ASCII)
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)", re.ASCII)
_LONGEST = dt.timedelta(days=366 * 1000)


def parse_duration(text: Any) -> dt.timedelta:
    """A length of time, never negative, at most a thousand years. ``0`` needs no unit.

    Raises BadValue.
    """
    if isinstance(text, dt.timedelta):
        return text
    if text in (0, "0") and not isinstance(text, bool):
        return dt.timedelta(0)
    if isinstance(text, int | float) and not isinstance(text, bool):
        raise BadValue(f"{text} is no duration: the unit is missing", hint=f"write {text}s, {text}m, {text}h or {text}d")
    if not isinstance(text, str) or not _DURATION.fullmatch(text.strip()):
        raise BadValue(f"{_shown(text)} is no duration", hint="write a number and a unit: 5s, 15m, 4h, 2d, 1w, or several: 1h30m")
    parts = _PART.findall(text.strip())
    if len({unit for _, unit in parts}) != len(parts):
        raise BadValue(f"{_shown(text)} is no duration: a unit stands twice", hint="write each unit once: 1h30m")
    micros = sum(Decimal(number) * _UNITS[unit] for number, unit in parts)
    try:
        value = dt.timedelta(microseconds=int(micros))
    except OverflowError:
        value = dt.timedelta.max
    if value > _LONGEST:
        raise BadValue(f"{_shown(text)} is longer than a thousand years", hint="write a shorter duration")
    return value


def format_duration(value: dt.timedelta) -> str:
    """The shortest exact form; ``parse_duration`` gives the same value back (to a whole millisecond)."""
    rest = value // dt.timedelta(milliseconds=1)
    if rest == 0:
        return "0s"
    parts = []
    for unit, factor in (("d", 86400000), ("h", 3600000), ("m", 60000), ("s", 1000), ("ms", 1)):
        count, rest = divmod(rest, factor)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)


def parse_size(text: Any) -> int:
    """Bytes. Binary units only, since GB means two things. Raises BadValue."""
    if isinstance(text, int) and not isinstance(text, bool):
        raise BadValue(f"{text} is no size: the unit is missing", hint=f"write {text}B, {text}MiB, {text}GiB or {text}TiB")
    match = _SIZE.fullmatch(text.strip()) if isinstance(text, str) else None
    if not match:
        raise BadValue(f"{_shown(text)} is no size", hint="write a number and a unit: 512MiB, 50GiB, 2TiB")
    number, unit = match.groups()
    if unit not in _SIZES:
        right = next((known for known in _SIZES if known[0].lower() == unit[0].lower()), "GiB")
        raise BadValue(
            f"{_shown(text)} is no size: there is no unit '{unit}'", hint=f"write {number}{right}; units are B, KiB, MiB, GiB, TiB, PiB"
        )
    return int(Decimal(number) * _SIZES[unit])


def format_size(value: int) -> str:
    """Exact: the largest unit that divides ``value``."""
    unit = next(unit for unit in reversed(_SIZES) if value % _SIZES[unit] == 0 and (value or unit == "B"))
    return f"{value // _SIZES[unit]}{unit}"


def human_size(value: float) -> str:
    """For people: three significant digits, ``1.24 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.3g} {unit}"
        value /= 1024
    return f"{value:,.3g} PiB"


def parse_rate(text: Any) -> int:
    """Bytes a second. Raises BadValue."""
    if not isinstance(text, str) or not text.strip().endswith("/s"):
        raise BadValue(f"{_shown(text)} is no rate", hint="write a size a second: 400MiB/s")
    value = parse_size(text.strip()[:-2])
    if value == 0:
        raise BadValue("a rate of 0 would never end", hint="leave the limit out, or write what may be used: 400MiB/s")
    return value


def format_rate(value: int) -> str:
    return f"{format_size(value)}/s"


def _shown(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else "nothing" if value is None else f"'{value!s:.60}'"
