"""The members of a cluster and their roles, asked for at each run, and which of them a backup is taken from.

Roles come from the servers themselves (``pg_is_in_recovery``); Patroni's word only tells where to ask.
"""

import contextlib
import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from holdfast.errors import HoldfastError
from holdfast.model import SystemClock
from holdfast.systems.postgres import faults, lsn
from holdfast.systems.postgres.link import connection
from holdfast.systems.postgres.settings import Policy, PostgresSettings

if TYPE_CHECKING:
    from holdfast.systems.postgres.link.connection import Connection

SETTLING = 5.0
"""Seconds in which a standby that was just started may show how far behind it is."""

_STATE = """
SELECT pg_catalog.pg_is_in_recovery() AS standby,
       system_identifier::text AS system_identifier,
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
            ELSE pg_catalog.pg_current_wal_flush_lsn() END::text AS position,
       pg_catalog.pg_last_wal_receive_lsn() IS DISTINCT FROM pg_catalog.pg_last_wal_replay_lsn() AS behind,
       extract(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.pg_last_xact_replay_timestamp())::float8 AS last_commit_age,
       EXISTS (SELECT FROM pg_catalog.pg_stat_get_wal_receiver() WHERE pid IS NOT NULL) AS receiving
  FROM pg_catalog.pg_control_system()
"""


@dataclass(frozen=True, slots=True, repr=False)
class Member:
    """One server. ``position``: flushed (primary) or replayed (standby) WAL; ``lag``: how old its data is in seconds, None when unknown.

    A member that could not be asked has ``role`` None and says why in ``fault``. ``dsn`` may hold a secret: show ``address``.
    """

    dsn: str
    address: str
    role: Literal["primary", "standby"] | None = None
    system_identifier: str = ""
    position: int = 0
    lag: float | None = None
    version_num: int = 0
    fault: HoldfastError | None = None

    def __repr__(self) -> str:
        return f"Member({self.address}, {self.role or 'unreachable'})"


def addresses(settings: PostgresSettings) -> list[str]:
    """The connection string of each member: those of the plan, or those that Patroni names now."""
    if settings.patroni is None:
        return list(settings.dsns)
    template = settings.dsns[0] if settings.dsns else ""
    return [connection.merged(template, host=host, port=str(port)) for host, port in _patroni(settings)]


def _patroni(settings: PostgresSettings) -> list[tuple[str, int]]:
    import ssl
    import urllib.error
    import urllib.request

    assert settings.patroni is not None
    url = settings.patroni.rstrip("/") + "/cluster"
    if not url.startswith(("http://", "https://")):
        raise faults.PatroniUnreachable(
            f"Patroni's address {settings.patroni} is no http:// or https:// URL.", hint="For example http://pg-1:8008."
        )
    context = ssl.create_default_context(cafile=str(settings.tls_ca) if settings.tls_ca else None) if url.startswith("https") else None
    try:
        with urllib.request.urlopen(url, timeout=settings.connect_timeout, context=context) as answer:  # noqa: S310 - the scheme was checked
            cluster = json.loads(answer.read(1 << 20))
        found = [(str(one["host"]), int(one["port"])) for one in cluster["members"]]
    except (urllib.error.URLError, OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()
        raise faults.PatroniUnreachable(
            f"Patroni at {url} did not name the cluster's members: {error}",
            hint="Check the address; any member's REST API will do. Members can also be listed by DSN in the plan.",
        ) from error
    if not found:
        raise faults.PatroniUnreachable(f"Patroni at {url} knows no members.", hint="Is the cluster initialised?")
    return found


def discover(settings: PostgresSettings) -> list[Member]:
    """Every member with its role now. Members that cannot be asked are listed with their fault.

    Raises MembersDiffer for different system identifiers or two primaries, and what ``addresses`` raises.
    """
    found = [_ask(dsn, settings.connect_timeout) for dsn in addresses(settings)]
    if not found:
        raise faults.NoSuitableMember("The plan names no server.", hint="Give a dsn, a list of hosts, or Patroni's address.")
    identifiers = {one.system_identifier for one in found if one.role}
    if len(identifiers) > 1:
        shown = ", ".join(f"{one.address}: {one.system_identifier}" for one in found if one.role)
        raise faults.MembersDiffer(
            f"The members are not one cluster; their system identifiers differ ({shown}).",
            hint="Give each cluster its own entry in the plan.",
        )
    primaries = [one.address for one in found if one.role == "primary"]
    if len(primaries) > 1:
        raise faults.MembersDiffer(
            f"{len(primaries)} members call themselves primary: {', '.join(primaries)}.",
            hint="Fence the wrong one first: a backup of it would not belong to your history.",
        )
    return _settled(_with_lag(found), settings.connect_timeout)


def _settled(found: list[Member], timeout: int) -> list[Member]:
    """A standby that has replayed no commit since its start knows no age: it is asked again until it has what the primary had."""
    primary = next((one for one in found if one.role == "primary"), None)
    if primary is None:
        return found
    clock = SystemClock()
    began = clock.monotonic()
    settled = []
    for first in found:
        one = first
        while one.role == "standby" and one.lag is None and (waited := clock.monotonic() - began) < SETTLING:
            clock.sleep(0.1)
            one = _ask(first.dsn, timeout)
            if one.lag is None and one.position >= primary.position:
                # What the primary had when it was asked is there: what came since is at most so old.
                one = dataclasses.replace(one, lag=waited)
        settled.append(one)
    return settled


def _ask(dsn: str, timeout: int) -> Member:
    where = connection.address(dsn)
    try:
        with contextlib.closing(connection.connect(dsn, timeout=timeout)) as session:
            return describe(session, dsn)
    except HoldfastError as error:
        return Member(dsn, where, fault=error)


def describe(session: "Connection", dsn: str) -> Member:
    """What one server says about itself over an open session."""
    state: dict[str, Any] = connection.rows(session, _STATE, what="Asking for the server's role")[0]
    standby = bool(state["standby"])
    # Without a receiver nobody knows how far the primary went on: the age of the last commit replayed is the safe answer.
    fresh = not standby or (state["receiving"] and not state["behind"])
    lag = 0.0 if fresh else state["last_commit_age"]
    return Member(
        dsn=dsn,
        address=connection.address(dsn),
        role="standby" if standby else "primary",
        system_identifier=str(state["system_identifier"]),
        position=lsn.parse(state["position"]) if state["position"] else 0,
        lag=None if lag is None else float(lag),
        version_num=session.info.server_version,
    )


def _with_lag(found: list[Member]) -> list[Member]:
    """A standby that has replayed as far as the primary had flushed lags by nothing, however long ago the last commit was."""
    primary = next((one for one in found if one.role == "primary"), None)
    if primary is None:
        return found
    return [dataclasses.replace(one, lag=0.0) if one.role == "standby" and one.position >= primary.position else one for one in found]


def choose(found: Sequence[Member], policy: Policy, max_lag: float) -> Member:
    """The member that a backup is taken from: never silently another kind than ``policy`` asks for.

    ``standby`` takes the freshest standby within ``max_lag`` seconds, ``primary`` the primary, ``prefer-standby`` either, in this order.
    Raises NoSuitableMember (or, when there is one member alone, its own fault) with what was found of each member.
    """
    if len(found) == 1 and found[0].fault is not None:
        raise found[0].fault
    standbys = [one for one in found if one.role == "standby" and one.lag is not None and one.lag <= max_lag]
    primary = next((one for one in found if one.role == "primary"), None)
    if policy != "primary" and standbys:
        return max(standbys, key=lambda one: (one.position, -(one.lag or 0)))
    if policy != "standby" and primary is not None:
        return primary
    wanted = f"standby that lags at most {max_lag:g} s" if policy == "standby" else "primary" if policy == "primary" else "usable member"
    said = "; ".join(_said(one) for one in found)
    raise faults.NoSuitableMember(
        f"No {wanted} was found. {said}.",
        hint="Change `from` or `max_lag` in the plan, or bring such a member up.",
        members=[_said(one) for one in found],
    )


def _said(one: Member) -> str:
    if one.fault is not None:
        return one.fault.message.rstrip(".")
    lag = "" if one.role == "primary" else ", lag unknown" if one.lag is None else f", {one.lag:.0f} s behind"
    return f"{one.address} is a {one.role}{lag}"


def runs_here(session: "Connection", data_directory: Path) -> bool:
    """Whether the server behind ``session`` runs on this host in ``data_directory``.

    Port and start time in postmaster.pid must be the server's, and the session's own process a child of the postmaster named there: two
    members restarted together on one port must not be taken for one another. A server in another process namespace counts as elsewhere.
    """
    try:
        lines = (data_directory / "postmaster.pid").read_text(errors="replace").splitlines()
    except OSError:
        return False
    query = """
        SELECT pg_catalog.current_setting('port') AS port, pg_catalog.pg_backend_pid() AS pid,
               extract(epoch FROM pg_catalog.pg_postmaster_start_time())::float8 AS started
    """
    facts = connection.rows(session, query, what="Asking for the server's start time")[0]
    # Line 3 is taken a moment before the server notes its own start time.
    if len(lines) < 4 or lines[3].strip() != facts["port"] or abs(float(lines[2]) - float(facts["started"])) > 30:
        return False
    return not Path("/proc/self/stat").exists() or _parent(int(facts["pid"])) == abs(int(lines[0]))


def _parent(pid: int) -> int | None:
    """The parent of a process on this host, by Linux's /proc; None when it is not here or not to be seen."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rsplit(")", 1)[1].split()[1])
    except (OSError, IndexError, ValueError):
        return None
