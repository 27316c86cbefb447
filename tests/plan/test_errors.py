"""Every wrong plan says where, what, and what would be right. The texts are the contract: changing one is a decision."""

# ruff: noqa: E501, ISC004 - expected texts stand as they are printed

import pytest

from holdfast.plan import PlanInvalid, load
from tests.plan.writing import SMALL, changed, errors, loaded, problems, write

CASES = {
    "unknown key at the top": (
        "systms: {}\n" + SMALL,
        ["holdfast.yaml:1:1: error: unknown key 'systms'; did you mean 'systems'?"],
    ),
    "unknown key in a tier": (
        changed("    rto: 15m", "    rtoo: 15m"),
        ["holdfast.yaml:10:5: error: unknown key 'rtoo' in tiers.critical; did you mean 'rto'?"],
    ),
    "unknown key in a system": (
        changed("    dsn: {env: ORDERS_DSN}", "    dsn: {env: ORDERS_DSN}\n    datadirectory: /x"),
        ["holdfast.yaml:25:5: error: unknown key 'datadirectory' in systems.orders-db; did you mean 'data_directory'?"],
    ),
    "unknown key in a flow mapping": (
        changed("{last: 3, daily: 7}", "{last: 3, dayly: 7}"),
        ["holdfast.yaml:15:21: error: unknown key 'dayly' in tiers.critical.keep; did you mean 'daily'?"],
    ),
    "unknown key in a list": (
        changed("failure_domain: dc1", "failure-domain: dc1"),
        ["holdfast.yaml:5:55: error: unknown key 'failure-domain' in vault.locations[0]; did you mean 'failure_domain'?"],
    ),
    "unknown key far from all": (
        changed("rto: 2d,", "rto: 2d, zzz: 1,"),
        [
            "holdfast.yaml:18:33: error: unknown key 'zzz' in tiers.ordinary; known here: backup, continuous, drill, keep, locations,"
            " min_copies, mtd, rpo, rto, verify"
        ],
    ),
    "unknown kind": (
        changed("kind: postgres\n", "kind: postgre\n"),
        ["holdfast.yaml:21:11: error: 'postgre' is no kind of system; did you mean 'postgres'?"],
    ),
    "no kind": (
        changed("    kind: postgres\n", ""),
        [
            "holdfast.yaml:20:3: error: system 'orders-db' has no kind; add kind: with one of postgres, mongodb, kafka, bucket, delta,"
            " airflow, files"
        ],
    ),
    "a system that is no mapping": (
        changed("systems:\n", "systems:\n  other: postgres\n"),
        ["holdfast.yaml:20:10: error: system 'other' must be a mapping of keys to values; begin with 'kind: postgres'"],
    ),
    "duration without unit": (
        changed("rto: 15m", "rto: 15"),
        ["holdfast.yaml:10:10: error: tiers.critical.rto: 15 is no duration: the unit is missing; write 15s, 15m, 15h or 15d"],
    ),
    "one wrong value of several": (
        changed("offsite: 60s}", "offsite: sixty}"),
        [
            "holdfast.yaml:9:32: error: tiers.critical.rpo.offsite: 'sixty' is no duration; write a number and a unit: 5s, 15m, 4h, 2d,"
            " 1w, or several: 1h30m"
        ],
    ),
    "schedule": (
        changed("backup: daily", "backup: dayly"),
        [
            "holdfast.yaml:18:41: error: tiers.ordinary.backup: 'dayly' is no schedule: cron has five fields, this has 1; did you mean 'daily'?"
        ],
    ),
    "a word where true or false belongs": (
        changed("continuous: true", "continuous: yes"),
        ["holdfast.yaml:13:17: error: tiers.critical.continuous: true or false belongs here"],
    ),
    "zero to keep": (
        changed("{last: 3, daily: 7}", "{last: 0}"),
        ["holdfast.yaml:15:18: error: tiers.critical.keep.last: input should be greater than or equal to 1"],
    ),
    "a literal where a secret belongs": (
        changed("key: {env: HOLDFAST_KEY}", "key: hunter2"),
        [
            "holdfast.yaml:3:8: error: vault.key: a literal stands where a secret belongs (it is not repeated here);"
            " name where it is kept: {env: NAME}, {file: PATH} or {command: …}, or {kms: {pkcs11: LIBRARY, token: …, key: …, pin: {env: NAME}}}"
        ],
    ),
    "a password in a DSN": (
        changed("dsn: {env: ORDERS_DSN}", "dsn: postgresql://u:hunter2@db/orders"),
        [
            "holdfast.yaml:24:10: error: systems.orders-db.dsn: an address with a password in it (it is not repeated here);"
            " keep the whole address outside the plan: {env: NAME}, {file: PATH} or {command: …}"
        ],
    ),
    "two sources of a secret": (
        changed("{env: HOLDFAST_KEY}", "{env: HOLDFAST_KEY, file: /k}"),
        [
            "holdfast.yaml:3:8: error: vault.key: a secret has several sources: env, file; write exactly one of {env: NAME}, {file: PATH}"
            " or {command: …}, or {kms: {pkcs11: LIBRARY, token: …, key: …, pin: {env: NAME}}}"
        ],
    ),
    "no vault": (
        "platform: shop\n",
        ["holdfast.yaml:1:1: error: the plan lacks 'vault'; add vault:"],
    ),
    "a location without its name": (
        changed("{name: onsite, ", "{"),
        ["holdfast.yaml:5:7: error: vault.locations[0] lacks 'name'; add name:"],
    ),
    "an unknown scheme": (
        changed("s3://shop-dr", "s4://shop-dr"),
        [
            "holdfast.yaml:6:28: error: vault.locations[1].url: 's4://shop-dr/holdfast' is no URL that works here;"
            " begin with s3:// or file:// or ssh:// or unix:// or gs:// or az://"
        ],
    ),
    "a name that cannot be one": (
        changed("  audit-db:", "  audit db:"),
        [
            "holdfast.yaml:25:3: error: 'audit db' is no name that works here; use letters, digits, '-', '_' and '.', beginning with a"
            " letter or digit; at most 63"
        ],
    ),
    "a key twice": (
        changed("    rto: 15m", "    rto: 15m\n    rto: 20m"),
        ["holdfast.yaml:11:5: error: 'rto' is written twice (first in line 10); keep one of them"],
    ),
    "not YAML": (
        changed("{last: 3, daily: 7}", "{last: 3, daily: 7"),
        [
            "holdfast.yaml:16:14: error: not YAML: while parsing a flow mapping did not find expected ',' or '}';"
            " look for a missing quote, bracket, colon or indent just before"
        ],
    ),
    "no mapping at all": (
        "- platform\n",
        ["holdfast.yaml:1:1: error: a plan is a mapping of keys to values; begin with 'platform: NAME'"],
    ),
    "a tag": (
        changed("platform: shop", "platform: !!python/name:os.system shop"),
        ["holdfast.yaml:1:11: error: the tag 'tag:yaml.org,2002:python/name:os.system' means nothing in a plan; leave it out"],
    ),
    "an unknown word of few": (
        changed("    dsn: {env: ORDERS_DSN}", "    dsn: {env: ORDERS_DSN}\n    from: prefer_standby"),
        [
            "holdfast.yaml:25:11: error: systems.orders-db.from: 'prefer_standby' is not one of prefer-standby, standby, primary;"
            " did you mean 'prefer-standby'?"
        ],
    ),
    "an unknown kind in defaults": (
        SMALL + "defaults: {postgresql: {max_lag: 5m}}\n",
        ["holdfast.yaml:26:12: error: 'postgresql' is no kind of system; did you mean 'postgres'?"],
    ),
    "an unknown key in defaults is told once, there": (
        SMALL + "defaults: {postgres: {maxlag: 5m}}\n",
        ["holdfast.yaml:26:23: error: unknown key 'maxlag' in defaults.postgres; did you mean 'max_lag'?"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_said(tmp_path, name):
    text, expected = CASES[name]
    assert errors(tmp_path, text) == expected


def test_everything_is_said_at_once(tmp_path):
    text = SMALL.replace("rto: 15m", "rtoo: 15m").replace("backup: daily", "backup: dayly").replace("kind: postgres\n", "kind: mysql\n")
    assert [line.split(": ")[0] for line in errors(tmp_path, text)] == ["holdfast.yaml:10:5", "holdfast.yaml:18:41", "holdfast.yaml:21:11"]


def test_the_error_that_a_user_meets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, changed("rto: 15m", "rto: soon"))
    with pytest.raises(PlanInvalid) as caught:
        load("holdfast.yaml")
    error = caught.value
    assert (error.code, error.status) == ("plan-invalid", 2)
    assert error.message.startswith("The plan has 1 error:\n  holdfast.yaml:10:10: error: tiers.critical.rto: 'soon' is no duration")
    assert error.details["problems"] == [
        {
            "severity": "error",
            "file": "holdfast.yaml",
            "line": 10,
            "column": 10,
            "path": "tiers.critical.rto",
            "message": "tiers.critical.rto: 'soon' is no duration",
            "hint": "write a number and a unit: 5s, 15m, 4h, 2d, 1w, or several: 1h30m",
        }
    ]


@pytest.mark.parametrize(
    "text",
    [
        changed("key: {env: HOLDFAST_KEY}", "key: hunter2"),
        changed("key: {env: HOLDFAST_KEY}", "key: [hunter2]"),
        changed("key: {env: HOLDFAST_KEY}", "key: {env: [hunter2]}"),
        changed("key: {env: HOLDFAST_KEY}", "key: {env: 'hunter2 with spaces'}"),
        changed("key: {env: HOLDFAST_KEY}", "key: {literal: hunter2}"),
        changed("dsn: {env: ORDERS_DSN}", "dsn: 'host=db password=hunter2'"),
        changed("dsn: {env: ORDERS_DSN}", "dsn: 'postgresql://db/x?user=u&password=hunter2'"),
        changed("dsn: {env: ORDERS_DSN}", "dsn: [{env: A}, 'postgres://u:hunter2@db']"),
        changed("dsn: {env: ORDERS_DSN}", "hosts: {patroni: 'http://u:hunter2@pg:8008'}"),
        changed("dsn: {env: ORDERS_DSN}", "hosts: ['postgres://u:hunter2@db']"),
        changed("dsn: {env: ORDERS_DSN}", "dsn: {literal: 'postgres://u:hunter2@db'}"),
        changed("s3://shop-dr/holdfast", "s3://k:hunter2@shop-dr/holdfast"),
        changed("region: eu-west-1", "credentials: {access_key_id: hunter2, secret_access_key: hunter2}"),
    ],
)
def test_a_secret_is_refused_and_never_repeated(tmp_path, text):
    said = errors(tmp_path, text)
    assert said
    assert "hunter2" not in "\n".join(said)


def test_yaml_is_read_by_the_newer_rules(tmp_path):
    text = changed("labels: {team: core}", "labels: {on: 'off', no: 'no', time: 12:30:45, day: 2026-11-27}")
    assert loaded(tmp_path, text).document.systems["orders-db"].labels == {"on": "off", "no": "no", "time": "12:30:45", "day": "2026-11-27"}


def test_aliases_that_unfold_without_end_are_refused(tmp_path):
    laughs = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9 if n else ['x'] * 9)}]\n" for n in range(9))
    assert "unfolds to too many values" in "\n".join(errors(tmp_path, laughs + SMALL))


def test_an_alias_of_itself_is_refused(tmp_path):
    assert "an alias that contains itself" in "\n".join(errors(tmp_path, "runbooks: &a [*a]\n" + SMALL))


def test_merge_keys_and_anchors_work(tmp_path):
    text = changed("  ordinary: {rpo", "  base: &base {rto: 9h, backup: daily}\n  ordinary: {<<: *base, rpo").replace(
        "rto: 2d, backup: daily, ", ""
    )
    assert loaded(tmp_path, text).effective("audit-db").rto.total_seconds() == 9 * 3600


@pytest.mark.parametrize("junk", [b"\xff\xfe", b"\x00", b"platform: \xc3\x28"])
def test_a_file_of_junk_is_told(tmp_path, junk):
    path = tmp_path / "holdfast.yaml"
    path.write_bytes(junk)
    with pytest.raises(Exception) as caught:
        load(path)
    assert caught.value.code in ("plan-missing", "plan-invalid")


def test_a_right_plan_says_nothing(tmp_path):
    assert problems(tmp_path, SMALL) == []
