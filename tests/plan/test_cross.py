"""What must fit together."""

# ruff: noqa: E501, ISC004 - expected texts stand as they are printed

import pytest

from tests.plan.writing import SMALL, changed, errors, problems

RAW = "  raw:\n    kind: bucket\n    tier: ordinary\n    url: '%s'\n"
EVENTS = "  events: {kind: kafka, tier: ordinary, bootstrap: 'k:9092'}\n"

ERRORS = {
    "a tier's location": (
        changed("locations: [offsite]", "locations: [offsit]"),
        "tiers.ordinary.locations[0] names the location 'offsit', which is not defined; did you mean 'offsite'?",
    ),
    "an rpo's location": (
        changed("{onsite: 5s, offsite: 60s}", "{onsite: 5s, offsite: 60s, moon: 1h}"),
        "tiers.critical.rpo.moon names the location 'moon', which is not defined; known here: offsite, onsite",
    ),
    "an rpo that leaves a location out": (
        changed("{onsite: 5s, offsite: 60s}", "{onsite: 5s}"),
        "the rpo of 'orders-db' names onsite but not offsite; write a value for each location, or one value for all",
    ),
    "a system's tier": (
        changed("tier: critical", "tier: crtical"),
        "systems.orders-db.tier names the tier 'crtical', which is not defined; did you mean 'critical'?",
    ),
    "too many copies": (
        changed("min_copies: 2", "min_copies: 3"),
        "'orders-db' needs 3 copies (min_copies), but is kept in 2 locations; name more locations, or lower min_copies",
    ),
    "rto above mtd": (
        changed("rto: 15m", "rto: 5h"),
        "'orders-db' is promised back in 5h (rto), later than the business can bear: 4h (mtd); lower rto, or raise mtd",
    ),
    "rpo below the interval": (
        changed("rpo: 24h", "rpo: 12h"),
        "'audit-db' is promised to lose at most 12h (rpo), but up to 1d lie between two backups (daily);"
        " add continuous: true, take backups more often, or raise rpo",
    ),
    "rpo below the interval of what has no log": (
        SMALL + "  app: {kind: files, tier: critical, paths: [/etc]}\n",
        "'app' is promised to lose at most 5s (rpo), but up to 6h lie between two backups (0 */6 * * *); take backups more often, or raise rpo",
    ),
    "following what has no log": (
        SMALL + "  app: {kind: files, tier: ordinary, paths: [/etc], continuous: true}\n",
        "a system of kind files has no log to follow; take backups more often instead",
    ),
    "no schedule": (changed("backup: daily, ", ""), "'audit-db' has no backup schedule; add backup: daily, here or in its tier"),
    "nothing is kept": (
        changed("keep: {daily: 30}", "keep: {}"),
        "tiers.ordinary.keep keeps nothing; say what stays: {daily: 7, weekly: 4}",
    ),
    "no retention": (
        changed("keep: {daily: 30}, ", ""),
        "nothing says how long points of 'audit-db' are kept; add keep: {daily: 7, weekly: 4}, here or in its tier",
    ),
    "no way to reach it": (
        changed("    dsn: {env: ORDERS_DSN}\n", ""),
        "system 'orders-db' cannot be reached: hosts or dsn is missing; add hosts or dsn, here or in defaults.postgres",
    ),
    "a flow's end": (
        SMALL + "flows:\n  - {from: orders-db, to: evnts/orders}\n" + "",
        "flows[0].to names the system 'evnts', which is not defined; known here: audit-db, orders-db",
    ),
    "a metastore": (
        SMALL + EVENTS + "  air: {kind: airflow, tier: ordinary, api: 'http://a:8080', metastore: events}\n",
        "the metastore of 'air' is a system of kind kafka; name a postgres system",
    ),
    "a scope": (
        changed("    labels: {team: core}", "    scope: pii"),
        "systems.orders-db.scope names the scope 'pii', which is not defined; none is defined",
    ),
    "two locations of one name": (changed("{name: offsite", "{name: onsite"), "two locations are named 'onsite'; give each its own name"),
    "one place twice": (
        changed("s3://shop-dr/holdfast", "file:///var/lib/holdfast/"),
        "'offsite' and 'onsite' are the same place; two copies in one place are one copy",
    ),
    "a lock where none can be": (
        changed("failure_domain: dc1", "lock: {days: 3}"),
        "location 'onsite' cannot lock objects; object lock works on s3:// locations",
    ),
    "half a pair of keys": (
        changed("region: eu-west-1", "credentials: {access_key_id: {env: A}}"),
        "access_key_id and secret_access_key belong together; give both, or a profile",
    ),
    "two checks of one name": (
        changed("    labels: {team: core}", "    checks: [{name: a, sql: x, expect: 1}, {name: a, sql: y, expect: 2}]"),
        "two checks of 'orders-db' are named 'a'; give each its own name: evidence refers to it",
    ),
    "a check without an answer": (
        changed("    labels: {team: core}", "    checks: [{name: a, sql: x}]"),
        "systems.orders-db.checks[0]: check 'a' needs one expected answer; write either expect: VALUE or compare: source",
    ),
    "a price of nowhere": (
        SMALL + "prices: {storage: {moon: 1}}\n",
        "prices.storage.moon names the location 'moon', which is not defined; known here: offsite, onsite",
    ),
    "a channel of nobody": (
        SMALL + "people: {ops: {name: Ops, channels: [slak]}}\nchannels: {slack: {kind: slack, url: {env: W}}}\n",
        "people.ops.channels[0] names the channel 'slak', which is not defined; did you mean 'slack'?",
    ),
    "an incident's person of nobody": (
        SMALL + "people: {ops: {name: Ops, channels: []}}\nincidents: {on_call: op}\n",
        "incidents.on_call names the person 'op', which is not defined; did you mean 'ops'?",
    ),
    "a role of nobody": (
        SMALL + "incidents: {roles: {scribe: ops}}\n",
        "incidents.roles.scribe names the person 'ops', which is not defined; none is defined",
    ),
    "a severity of no tier": (
        SMALL + "incidents: {severity: {critcal: SEV1}}\n",
        "incidents.severity.critcal names the tier 'critcal', which is not defined; did you mean 'critical'?",
    ),
    "a backlog that warns too late": (
        changed("    labels: {team: core}", "    wal_backlog: {warn: 2GiB, limit: 1GiB}"),
        "wal_backlog of 'orders-db' warns only past its limit; write a warning below the limit",
    ),
    "certificates that nobody looks at": (
        SMALL + RAW % "s3://raw" + "    endpoint: 'http://minio:9000'\n    tls: {ca: ca.pem}\n",
        "systems.raw has certificates (tls), and its endpoint is no https; write https://, or take tls out",
    ),
    "half a certificate": (
        SMALL + RAW % "s3://raw" + "    tls: {cert: c.pem}\n",
        "systems.raw: cert and key belong together; give both",
    ),
    "a certificate that no location shows": (
        changed("region: eu-west-1", "tls: {cert: c.pem, key: c.key}"),
        "location 'offsite' cannot show a certificate of its own; name the ca alone; credentials say who asks",
    ),
    "credentials of another provider": (
        SMALL + RAW % "gs://raw" + "    credentials: {access_key_id: {env: A}, secret_access_key: {env: B}}\n",
        "systems.raw.credentials.access_key_id is for s3://, and the address is gs://; for gs:// give service_account",
    ),
    "another provider's credentials of a location": (
        changed("region: eu-west-1", "credentials: {account_name: acme, account_key: {env: A}}"),
        "vault.locations[1].credentials.account_name is for az://, and the address is s3://;"
        " for s3:// give access_key_id, profile, secret_access_key, session_token",
    ),
    "an account without a name": (
        SMALL + RAW % "az://raw" + "    credentials: {account_key: {env: A}}\n",
        "systems.raw.credentials names no account; give account_name, too",
    ),
    "a bucket that holds the vault": (
        SMALL + RAW % "s3://shop-dr",
        "the location 'offsite' lies in what 'raw' protects: each backup would store the ones before it;"
        " give the vault a bucket or folder of its own, or name prefixes beside it",
    ),
    "a bucket inside of the vault": (
        SMALL + RAW % "file:///var/lib/holdfast/packs/",
        "the location 'onsite' lies in what 'raw' protects: each backup would store the ones before it;"
        " give the vault a bucket or folder of its own, or name prefixes beside it",
    ),
    "a prefix that holds the vault": (
        SMALL + RAW % "s3://shop-dr" + "    prefixes: [landing/, hold]\n",
        "the location 'offsite' lies in what 'raw' protects: each backup would store the ones before it;"
        " give the vault a bucket or folder of its own, or name prefixes beside it",
    ),
    "a bucket that is asked in SQL": (
        SMALL + RAW % "s3://raw" + "    checks: [{name: a, sql: x, expect: 1}]\n",
        "check 'a': a bucket answers no SQL; write command: instead",
    ),
}

WARNINGS = {
    "a standby beside its primary": (
        changed("    labels: {team: core}", "    failure_domain: dc1\n    standby: {dsn: {env: S}, failure_domain: dc1}"),
        "the standby of 'orders-db' is in its primary's failure domain, dc1; what takes one takes both: move it",
    ),
    "every copy beside the system": (
        changed("labels: {team: audit, region: eu}", "failure_domain: eu-west-1"),
        "every copy of 'audit-db' is in its own failure domain, eu-west-1; what takes the system takes its copies: add a location elsewhere",
    ),
    "copies in one domain": (
        changed("failure_domain: dc1", "failure_domain: eu-west-1"),
        "the 2 copies of 'orders-db' may all be in one failure domain, eu-west-1; use locations in different failure domains",
    ),
    "a window that the rpo cannot bear": (
        SMALL.replace("rpo: 24h", "rpo: 1h").replace("backup: daily", "backup: hourly") + "windows: {backup: 20:00-06:00}\n",
        "'audit-db' is promised to lose at most 1h (rpo), but no backup may start for 14h outside 20:00-06:00;"
        " widen the window, follow its log (continuous: true), or raise rpo",
    ),
    "nothing promised": (changed("rpo: 24h, ", ""), "nothing is promised for 'audit-db': it has no rpo; add rpo: here or in its tier"),
    "an owner nobody knows": (
        changed("    labels: {team: core}", "    owner: cor") + "people: {core: {name: Core}}\n",
        "systems.orders-db.owner names the person 'cor', which is not defined; did you mean 'core'?",
    ),
    "a chain that leads nowhere": (
        SMALL + "people: {core: {name: Core, escalate_after: {10m: lead}}}\n",
        "people.core.escalate_after.10m names the person 'lead', which is not defined; known here: core",
    ),
    "somebody who answers and is not reached": (
        SMALL + "people: {core: {name: Core}}\nincidents: {on_call: core}\n",
        "'core' is asked to answer for incidents, and no channel reaches them; add channels: [NAME]",
    ),
    "somebody who is asked next and is not reached": (
        SMALL
        + "people: {core: {name: Core, channels: [chat], escalate_after: {10m: lead}}, lead: {name: L, email: l@shop.example}}\n"
        + "channels: {chat: {kind: webhook, url: {env: C}}}\nincidents: {on_call: core}\n",
        "'lead' is asked to answer for incidents, and no channel reaches them; add channels: [NAME]",
    ),
    "nobody who answers": (
        SMALL + "incidents: {}\n",
        "about orders-db, audit-db nobody is asked first: everybody is told at once; name an owner for each, or on_call: under incidents:",
    ),
    "a circle of flows": (
        SMALL + "flows: [{from: orders-db, to: audit-db}, {from: audit-db, to: orders-db}]\n",
        "the flows go round in a circle through 'audit-db'; recovery cannot order them; take one out",
    ),
    "a pause of nothing": (
        SMALL + "quiesce: {airflow: [pause]}\n",
        "quiesce pauses Airflow, and no system is of kind airflow; add the system, or take the pause out",
    ),
    "no systems": (SMALL[: SMALL.index("systems:")], "the plan protects nothing: it has no systems; add one under systems:"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(tmp_path, name):
    text, expected = ERRORS[name]
    assert expected in [line.split(": error: ", 1)[1] for line in errors(tmp_path, text)]


@pytest.mark.parametrize("name", WARNINGS)
def test_warnings_only_warn(tmp_path, name):
    text, expected = WARNINGS[name]
    said = problems(tmp_path, text)
    assert [line.split(": warning: ", 1)[1] for line in said] == [expected]


def test_continuous_covers_an_rpo_below_the_interval(tmp_path):
    assert problems(tmp_path, changed("rpo: 24h", "rpo: 5s, continuous: true")) == []


def test_the_place_is_where_the_deciding_key_is_written(tmp_path):
    by_tier = errors(tmp_path, changed("rto: 15m", "rto: 5h"))
    by_system = errors(tmp_path, changed("    labels: {team: core}", "    rto: 5h"))
    assert by_tier[0].startswith("holdfast.yaml:10:10: ")
    assert by_system[0].startswith("holdfast.yaml:23:10: ")


@pytest.mark.parametrize("more", ["    prefixes: [landing/]\n", "    endpoint: 'https://minio.example'\n"])
def test_a_vault_beside_what_is_protected_is_fine(tmp_path, more):
    assert problems(tmp_path, SMALL + RAW % "s3://shop-dr" + more) == []
