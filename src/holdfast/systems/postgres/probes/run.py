"""What ``check`` finds out about a cluster: what works, what is missing, what a restore would lose."""

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError
from holdfast.model import Clock
from holdfast.systems.contract import Probe
from holdfast.systems.postgres.cluster import members
from holdfast.systems.postgres.link import connection
from holdfast.systems.postgres.probes import content, server, standby
from holdfast.systems.postgres.settings import PostgresSettings

if TYPE_CHECKING:
    from holdfast.systems.postgres.link.connection import Connection


def failed(name: str, error: HoldfastError) -> Probe:
    return Probe(name, "fail", error.message, error.hint)


def probe(settings: PostgresSettings, clock: Clock) -> Sequence[Probe]:
    """Ask every member, then look closely at the one that a backup would be taken from. What cannot be asked is a finding."""
    del clock
    try:
        found = members.discover(settings)
    except HoldfastError as error:
        return [failed("members", error)]
    probes = [_member(one) for one in found]
    try:
        chosen = members.choose(found, settings.policy, settings.max_lag)
    except HoldfastError as error:
        return [*probes, failed("backup from", error)]
    probes.append(Probe("backup from", "ok", f"{chosen.address} ({chosen.role})"))
    try:
        with contextlib.closing(connection.connect(chosen.dsn, timeout=settings.connect_timeout)) as session:
            probes += _ask(session, chosen, settings)
    except HoldfastError as error:
        probes.append(failed("session", error))
    probes.append(_replication(chosen, settings))
    primary = next((one for one in found if one.role == "primary"), None)
    if primary is not None and primary.dsn != chosen.dsn:
        with (
            contextlib.suppress(HoldfastError),
            contextlib.closing(connection.connect(primary.dsn, timeout=settings.connect_timeout)) as session,
        ):
            probes += _each(session, settings, standby.PRIMARY)
    return probes


def _member(one: members.Member) -> Probe:
    name = f"member {one.address}"
    if one.fault is not None:
        return failed(name, one.fault)
    lag = "" if one.role == "primary" else ", lag unknown" if one.lag is None else f", {one.lag:.0f} s behind"
    return Probe(name, "ok", f"{one.role}, PostgreSQL {connection.shown_version(one.version_num)}, system {one.system_identifier}{lag}")


def _ask(session: "Connection", chosen: members.Member, settings: PostgresSettings) -> list[Probe]:
    asked = [*server.ALL, *content.ALL]
    if chosen.role == "primary":
        asked += standby.PRIMARY
    probes = _each(session, settings, asked)
    if settings.data_directory is not None:
        probes.append(_data_directory(session, settings.data_directory))
    return probes


def _each(
    session: "Connection", settings: PostgresSettings, asked: Sequence[Callable[["Connection", PostgresSettings], list[Probe]]]
) -> list[Probe]:
    probes = []
    for one in asked:
        try:
            probes += one(session, settings)
        except HoldfastError as error:
            probes.append(Probe(one.__name__.replace("_", " "), "warn", f"could not be found out: {error.message}", error.hint))
    return probes


def _data_directory(session: "Connection", root: Path) -> Probe:
    name = "data directory"
    if not members.runs_here(session, root):
        return Probe(
            name,
            "warn",
            f"the chosen member does not run in {root} on this host: the backup goes over the replication protocol",
            "Run the backup on that member's host, or leave data_directory out of the plan.",
        )
    from holdfast.systems.postgres.capture.inplace import read_control

    try:
        read_control(root)
    except HoldfastError as error:
        return failed(name, error)
    return Probe(name, "ok", f"{root} is read in place")


def _replication(chosen: members.Member, settings: PostgresSettings) -> Probe:
    try:
        connection.replication(chosen.dsn, timeout=settings.connect_timeout, application="holdfast check").finish()
    except HoldfastError as error:
        return failed("replication connection", error)
    return Probe("replication connection", "ok", f"{chosen.address} accepts one")
