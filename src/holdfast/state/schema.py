"""The tables, as a list of steps: step n lifts a database from version n to n + 1. Steps are never edited once released."""

STEPS: tuple[str, ...] = (
    """
    create table runs (
        id text primary key, verb text not null, system text, host text not null, pid integer not null, born text not null,
        started text not null, seen text not null, ended text, outcome text, progress text not null default '{}',
        facts text not null default '{}', cancel text
    ) strict;
    create index runs_open on runs (ended, started);
    create index runs_system on runs (system, verb, started);
    create table leases (
        name text primary key, holder text not null, host text not null, pid integer not null, born text not null,
        taken text not null, expires text not null
    ) strict;
    create table pauses (system text primary key, since text not null, until text, reason text not null) strict;
    create table heartbeats (
        system text not null, branch text not null, location text not null, position integer not null, position_text text not null,
        server_time text, stored_at text not null, seen text not null, facts text not null default '{}',
        primary key (system, branch, location)
    ) strict;
    create table proofs (
        id integer primary key, system text not null, tier text not null, at text not null, ok integer not null, point text,
        detail text not null default '{}'
    ) strict;
    create index proofs_system on proofs (system, tier, at);
    create table durations (
        id integer primary key, system text not null, verb text not null, at text not null, seconds real not null, bytes integer
    ) strict;
    create index durations_system on durations (system, verb, at);
    create table notices (id integer primary key, at text not null, text text not null) strict;
    """,
    """
    create table runbook_runs (
        id text primary key, name text not null, status text not null, started text not null, ended text, facts text not null default '{}'
    ) strict;
    create index runbook_runs_started on runbook_runs (started);
    create table runbook_events (
        run text not null, n integer not null, kind text not null, at text not null, data text not null, primary key (run, n)
    ) strict;
    """,
    """
    create table outbox (
        id integer primary key, channel text not null, incident text not null, key text not null, message text not null,
        queued text not null, standing text not null default 'waiting', attempts integer not null default 0, waited real not null default 0,
        due text not null, tried text, trying text, maybe integer not null default 0, ended text, error text not null default '',
        noted integer not null default 0, unique (channel, key)
    ) strict;
    create index outbox_waiting on outbox (channel, incident, id) where standing = 'waiting';
    create index outbox_incident on outbox (incident, id);
    create index outbox_unnoted on outbox (id) where noted = 0;
    create table outbox_references (
        channel text not null, incident text not null, reference text not null, at text not null, primary key (channel, incident)
    ) strict;
    """,
    """
    alter table leases add column fence integer not null default 0;
    create table fences (name text primary key, last integer not null) strict;
    alter table runbook_events add column host text not null default ''
    """,
    """
    alter table leases add column boot text not null default '';
    alter table leases add column until real not null default 0;
    alter table outbox add column place integer;
    create table passes (
        name text not null, host text not null, at text not null, every real not null default 0, primary key (name, host)
    ) strict
    """,
)

KEYS: dict[str, tuple[str, ...]] = {
    "leases": ("name",),
    "fences": ("name",),
    "pauses": ("system",),
    "runbook_runs": ("id",),
    "outbox": ("channel", "key"),
    "outbox_references": ("channel", "incident"),
    "passes": ("name", "host"),
}
"""What makes a row of a table the same row, for those that are replaced."""

VERSION = len(STEPS)
