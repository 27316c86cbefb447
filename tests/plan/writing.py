"""Plans for tests: a small right one, to be spoiled in one place at a time."""

import textwrap

from holdfast.plan import Plan, PlanInvalid, examine, load

SMALL = """\
platform: shop
vault:
  key: {env: HOLDFAST_KEY}
  locations:
    - {name: onsite, url: "file:///var/lib/holdfast", failure_domain: dc1}
    - {name: offsite, url: "s3://shop-dr/holdfast", region: eu-west-1, failure_domain: eu-west-1}
tiers:
  critical:
    rpo: {onsite: 5s, offsite: 60s}
    rto: 15m
    mtd: 4h
    backup: "0 */6 * * *"
    continuous: true
    verify: {restore: weekly}
    keep: {last: 3, daily: 7}
    locations: [onsite, offsite]
    min_copies: 2
  ordinary: {rpo: 24h, rto: 2d, backup: daily, keep: {daily: 30}, locations: [offsite]}
systems:
  orders-db:
    kind: postgres
    tier: critical
    labels: {team: core}
    dsn: {env: ORDERS_DSN}
  audit-db: {kind: postgres, tier: ordinary, dsn: {env: AUDIT_DSN}, labels: {team: audit, region: eu}}
"""


def write(folder, text=SMALL, name="holdfast.yaml"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(textwrap.dedent(text))
    return path


def changed(old, new):
    """SMALL with one piece replaced, which must be there."""
    assert SMALL.count(old) >= 1, old
    return SMALL.replace(old, new, 1)


def loaded(folder, text=SMALL, settings=()) -> Plan:
    return load(write(folder, text), settings)


def problems(folder, text, settings=()):
    """What is said about a plan, file names shortened to their last part, in order."""
    _, found = examine(write(folder, text), settings)
    return [str(problem).replace(str(problem.mark.file), problem.mark.file.rsplit("/", 1)[-1], 1) for problem in found]


def errors(folder, text, settings=()):
    return [text for text in problems(folder, text, settings) if ": error: " in text]


__all__ = ["SMALL", "PlanInvalid", "changed", "errors", "loaded", "problems", "write"]
