"""The commented plan that ``holdfast init`` writes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

SCHEMES = ("file", "s3", "gs", "az")


@dataclass(frozen=True)
class PlaceAnswer:
    """A location as asked for; ``endpoint`` and ``region`` only for S3."""

    name: str
    url: str
    endpoint: str | None = None
    region: str | None = None


@dataclass(frozen=True)
class Answers:
    """What a new plan is made of.

    ``paths``: folders to be protected, as a system of their own.
    ``key`` and ``dsn`` are references (``{"env": …}`` or ``{"file": …}``); ``dsn`` may be a password-free text.
    """

    platform: str
    key: dict[str, str]
    locations: Sequence[PlaceAnswer]
    timezone: str = "UTC"
    system: str | None = None
    dsn: dict[str, str] | str | None = None
    data_directory: str | None = None
    paths: Sequence[str] = ()


def render(answers: Answers) -> str:
    """YAML text that ``load`` accepts."""
    names = ", ".join(place.name for place in answers.locations)
    parts = [
        _HEAD.format(platform=_word(answers.platform), timezone=_word(answers.timezone)),
        "vault:",
        f"  key: {_flow(answers.key)}  # where the key is kept; never the key itself",
        "  locations:  # each is complete on its own; put them where no single failure takes two",
        *(f"    - {_place(place)}" for place in answers.locations),
        _TIERS.format(names=names),
        _system(answers),
        _TAIL,
    ]
    return "\n".join(parts)


def _place(place: PlaceAnswer) -> str:
    known = {"name": place.name, "url": place.url, "endpoint": place.endpoint, "region": place.region, "failure_domain": place.name}
    return _flow({key: value for key, value in known.items() if value})


def _system(answers: Answers) -> str:
    files = _FILES.format(paths=", ".join(_word(path) for path in answers.paths)) if answers.paths else ""
    if answers.system is None:
        return f"systems:\n{files}" if files else "systems: {}\n" + _EXAMPLE
    dsn = answers.dsn if answers.dsn is not None else {"env": "DATABASE_URL"}
    lines = [
        "systems:",
        f"  {_word(answers.system)}:",
        "    kind: postgres",
        "    tier: standard",
        f"    dsn: {_word(dsn) if isinstance(dsn, str) else _flow(dsn)}  # a reference, or a connection string without a password",
    ]
    if answers.data_directory:
        lines.append(f"    data_directory: {_word(answers.data_directory)}  # read files in place, on the database host")
    else:
        lines.append("    # data_directory: /var/lib/postgresql/15/main  # on the database host: read files in place, faster")
    return "\n".join([*lines, _CHECKS + files])


def _word(text: str) -> str:
    plain = text.replace("-", "").replace("_", "").replace("/", "").isalnum() and text[0].isalpha()
    return (
        text if plain and text.lower() not in ("null", "true", "false", "yes", "no", "on", "off") else json.dumps(text, ensure_ascii=False)
    )


def _flow(mapping: dict[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {_word(value)}" for key, value in mapping.items()) + "}"


_HEAD = """\
# The continuity plan: what matters, how much, and what was promised.
# Check it with: holdfast plan lint      What it adds up to: holdfast plan show --effective
platform: {platform}
timezone: {timezone}  # schedules, windows and retention count in it
"""

_TIERS = """
tiers:  # how critical → what is promised → how it is kept; a system may override any key
  standard:
    rpo: 1m  # at most this much may be lost; one value, or one for each location: {{NAME: 5s, OTHER: 60s}}
    rto: 1h  # back within this
    mtd: 8h  # the longest the business can bear
    backup: daily  # cron's five fields, or hourly, daily, weekly …
    continuous: true  # follow the log between backups
    verify: {{structure: weekly, restore: monthly}}  # a backup that was never restored is a hope
    keep: {{last: 2, daily: 7, weekly: 4, monthly: 6}}
    locations: [{names}]
    min_copies: 1  # a point counts as protected only in this many locations
"""

_CHECKS = """\
    # labels: {team: core}
    # checks:  # asked of every restored copy
    #   - {name: no orphan lines, sql: "select count(*) from lines l left join orders o on o.id = l.order_id where o.id is null", expect: 0}
"""

_FILES = """\
  files:
    kind: files
    tier: standard
    rpo: 1d  # no log tells what was written between two backups
    paths: [{paths}]
    # exclude: ["*.tmp", "/cache/"]  # as in .gitignore, relative to each path
    # exclude_caches: true  # what lies beside a CACHEDIR.TAG
    # one_filesystem: true  # what is mounted below a path stays out
"""

_EXAMPLE = """\
#  orders-db:
#    kind: postgres
#    tier: standard
#    dsn: {env: ORDERS_DSN}
"""

_TAIL = """\
# limits: {rate: 400MiB/s, workers: 4, during: {"Mon-Fri 08-19": {rate: 80MiB/s}}}
# windows: {backup: "20:00-06:00", freeze: ["2026-12-24/2026-12-26"]}
# sandbox: {directory: /var/tmp/holdfast, size: 200GiB, max: 1}  # where isolated restores live
"""
