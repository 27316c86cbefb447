"""Field types of the plan: text in the file, typed values in the program, text again when shown."""

import datetime as dt
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, PlainSerializer, PlainValidator, StringConstraints, WithJsonSchema
from pydantic_core import core_schema

from holdfast.plan.errors import BadValue
from holdfast.plan.values import cron, units, windows
from holdfast.plan.values.secret import holds_password


def _text(value: Any) -> str:
    return str(value)


def _schema(description: str, pattern: str | None = None, **more: Any) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "description": description, **({"pattern": pattern} if pattern else {}), **more})


def _several(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


class OneOrMany:
    """In an annotation of a tuple: a single value may stand for a list of one."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(_several, handler(source))

    def __get_pydantic_json_schema__(self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        found = handler(schema)
        return {"anyOf": [found["items"], found]} if "items" in found else found


_VARIABLE = r"^\$\{.*\}$|"
_DURATION = _VARIABLE + r"^0$|^([0-9]+(\.[0-9]+)?(ms|s|m|h|d|w))+$"
_SIZE = _VARIABLE + r"^[0-9]+(\.[0-9]+)? ?(B|KiB|MiB|GiB|TiB|PiB)$"

Duration = Annotated[
    dt.timedelta,
    PlainValidator(units.parse_duration),
    PlainSerializer(units.format_duration),
    WithJsonSchema({"type": ["string", "integer"], "description": "a duration: 5s 15m 4h 2d", "pattern": _DURATION}),
]
Size = Annotated[int, PlainValidator(units.parse_size), PlainSerializer(units.format_size), _schema("a size: 512MiB 50GiB 2TiB", _SIZE)]
Rate = Annotated[
    int, PlainValidator(units.parse_rate), PlainSerializer(units.format_rate), _schema("bytes a second: 400MiB/s", _SIZE[:-1] + "/s$")
]
When = Annotated[
    cron.Schedule,
    PlainValidator(cron.parse_schedule),
    PlainSerializer(_text),
    _schema("cron's five fields, or hourly, daily, weekly, monthly, quarterly, yearly", examples=["0 */6 * * *", *cron.WORDS]),
]
DayWindow = Annotated[
    windows.Window, PlainValidator(windows.parse_window), PlainSerializer(_text), _schema("times of day: 20:00-06:00, Mon-Fri 08-19")
]
DateRange = Annotated[windows.Freeze, PlainValidator(windows.parse_freeze), PlainSerializer(_text), _schema("dates: 2026-11-27/2026-11-30")]


def _zone(value: Any) -> str:
    if not isinstance(value, str):
        raise BadValue(f"'{value}' is no time zone", hint="write a name such as Europe/Berlin or UTC")
    cron.zone(value)
    return value


def _url(schemes: tuple[str, ...]) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise BadValue("a URL belongs here", hint=f"write {schemes[0]}://…")
        if holds_password(value):
            raise BadValue(
                "a URL with a password in it (it is not repeated here)", hint="leave the password out; give credentials by reference"
            )
        scheme = urlsplit(value).scheme
        if scheme not in schemes:
            raise BadValue(f"'{value}' is no URL that works here", hint=f"begin with {' or '.join(f'{known}://' for known in schemes)}")
        if scheme in ("file", "unix") and not urlsplit(value).path.startswith("/"):
            what = "folder" if scheme == "file" else "socket"
            raise BadValue(f"'{value}' names no absolute {what}", hint=f"write {scheme}:///absolute/path")
        return value

    return check


def url(*schemes: str) -> Any:
    """The pydantic annotation of a URL that begins with one of ``schemes`` and holds no password."""
    return Annotated[str, PlainValidator(_url(schemes)), _schema(f"a URL: {', '.join(schemes)}")]


TimeZone = Annotated[str, PlainValidator(_zone), _schema("an IANA time zone: Europe/Berlin")]
HttpUrl = Annotated[str, PlainValidator(_url(("http", "https"))), _schema("an http or https URL")]
BucketUrl = Annotated[
    str,
    PlainValidator(_url(("s3", "file", "gs", "az"))),
    _schema("where objects rest: s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///folder"),
]
LocationUrl = Annotated[
    str,
    PlainValidator(_url(("s3", "file", "ssh", "unix", "gs", "az"))),
    _schema(
        "where a vault rests: file:///folder; s3://, gs:// or az:// and bucket/prefix; ssh://user@host/folder or unix:///socket (served)"
    ),
]
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$")]
Text = Annotated[str, StringConstraints(min_length=1)]
Texts = Annotated[tuple[Text, ...], OneOrMany()]
