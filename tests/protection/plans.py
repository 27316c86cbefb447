"""Plans and pasts for the tests of this room."""

import datetime as dt

from holdfast.plan import EffectiveSystem, Plan, load
from holdfast.protection.history import Past, PointSeen
from holdfast.state import Heartbeat

TEXT = """
platform: test
timezone: {zone}
vault:
  key: {{env: KEY}}
  locations: [{{name: onsite, url: "file:///v"}}, {{name: offsite, url: "file:///w"}}]
{windows}
systems:
  db:
    kind: postgres
    dsn: {{env: DSN}}
    rpo: {rpo}
    rto: 15m
    backup: {backup}
    continuous: {continuous}
    verify: {verify}
    keep: {{daily: 7}}
    min_copies: {copies}
"""


def plan(
    folder, *, zone="UTC", windows="", rpo="1h", backup='"0 * * * *"', continuous="false", verify="{restore: weekly}", copies=1
) -> Plan:
    path = folder / "holdfast.yaml"
    path.write_text(TEXT.format(zone=zone, windows=windows, rpo=rpo, backup=backup, continuous=continuous, verify=verify, copies=copies))
    return load(path)


def system(folder, **given) -> EffectiveSystem:
    return plan(folder, **given).effective("db")


def at(text: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def point(text: str, *, took: float = 60, locations=("onsite", "offsite"), usable: bool = True) -> PointSeen:
    begin = at(text)
    return PointSeen(f"{begin:%H%M}".zfill(32), begin, begin + dt.timedelta(seconds=took), begin, frozenset(locations), usable)


def beat(text: str, location: str = "onsite", seen: str | None = None) -> Heartbeat:
    moment = at(text)
    return Heartbeat("db", "1-1", location, 100, "0/64", moment, moment, at(seen) if seen else moment)


def past(*points: PointSeen, **given) -> Past:
    return Past(points=points, **given)
