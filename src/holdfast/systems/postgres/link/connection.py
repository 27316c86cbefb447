"""Connections to a PostgreSQL server through psycopg 3, and what its refusals mean.

libpq gives no SQLSTATE for a failed login, and the server words it in its own language; so flags are asked first, words last.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.errors import HoldfastError, MissingExtra
from holdfast.systems.postgres import faults

if TYPE_CHECKING:
    import psycopg

    Connection = psycopg.Connection[tuple[Any, ...]]

OLDEST, NEWEST = 140000, 189999
_KEEPALIVE = {"keepalives": "1", "keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "6"}
_SESSION = (
    "SELECT pg_catalog.set_config(name, '0', false) FROM pg_catalog.pg_settings WHERE name IN"
    " ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'idle_session_timeout', 'transaction_timeout')"
)


def _driver() -> Any:
    try:
        import psycopg
    except ImportError as error:
        raise MissingExtra("postgres", "Talking to PostgreSQL") from error
    return psycopg


def parse(dsn: str) -> dict[str, str]:
    """The settings in a connection string, without the driver's defaults. Raises ConnectionStringBad, which does not repeat the string."""
    psycopg = _driver()
    try:
        return {key: str(value) for key, value in psycopg.conninfo.conninfo_to_dict(dsn).items() if value is not None}
    except psycopg.ProgrammingError:
        # The cause is dropped: the driver repeats the string, password included.
        raise faults.ConnectionStringBad(
            "The PostgreSQL connection string cannot be read.",
            hint="Write it as postgresql://user@host:5432/database or as 'host=… user=… dbname=…'.",
        ) from None


def address(dsn: str) -> str:
    """Where a connection string leads, fit to be shown: never a password."""
    settings = parse(dsn)
    host = settings.get("host") or settings.get("hostaddr") or "local socket"
    return f"{host}:{settings.get('port', '5432')}"


def merged(dsn: str, **changes: str) -> str:
    """``dsn`` with some settings replaced."""
    return str(_driver().conninfo.make_conninfo(**{**parse(dsn), **changes}))


def secured(dsn: str, certificates: Mapping[str, Path]) -> str:
    """``dsn`` with the PEM files of ``ca``, ``cert`` and ``key``. With ``ca`` the server must prove its name, where the string itself does
    not choose a mode; what the string names wins.
    """
    words = {"ca": "sslrootcert", "cert": "sslcert", "key": "sslkey"}
    wanted = {words[name]: str(path) for name, path in certificates.items()}
    if "ca" in certificates:
        wanted["sslmode"] = "verify-full"
    return merged(dsn, **{**wanted, **parse(dsn)}) if wanted else dsn


def streaming(dsn: str) -> str:
    """What a standby is given to follow the server of ``dsn``: no password, and nothing that belongs to one SQL session."""
    kept = {key: value for key, value in parse(dsn).items() if key not in ("password", "dbname", "options", "application_name")}
    return str(_driver().conninfo.make_conninfo(**kept))


def connect(dsn: str, *, timeout: int = 10, application: str = "holdfast") -> "Connection":
    """An autocommit SQL session whose time-outs are switched off, in UTF-8. Raises the faults of this room, or MissingExtra."""
    psycopg = _driver()
    settings = {"dbname": "postgres", **_KEEPALIVE, "connect_timeout": str(timeout), **parse(dsn)}
    settings |= {"application_name": application, "client_encoding": "UTF8"}
    try:
        connection = psycopg.connect(**settings, autocommit=True)
    except psycopg.OperationalError as error:
        raise login_fault(error, dsn, replication=False) from None
    try:
        connection.execute(_SESSION)
        version = connection.info.server_version
        if not OLDEST <= version <= NEWEST:
            raise faults.VersionUnsupported(
                f"The server at {address(dsn)} is PostgreSQL {shown_version(version)}; Holdfast protects 14 to 18.",
                hint="Use the Holdfast version that knows this server, or upgrade the server.",
                version_num=version,
            )
    except BaseException:
        connection.close()
        raise
    result: Connection = connection
    return result


def replication(dsn: str, *, timeout: int = 10, application: str = "holdfast") -> Any:
    """A walsender connection as libpq's ``PGconn`` (``replication=true``), non-blocking. Raises the faults of this room."""
    psycopg = _driver()
    settings = {**_KEEPALIVE, "connect_timeout": str(timeout), **parse(dsn)}
    settings |= {"application_name": application, "client_encoding": "UTF8", "replication": "true"}
    settings.pop("dbname", None)
    pgconn = psycopg.pq.PGconn.connect(psycopg.conninfo.make_conninfo(**settings).encode())
    if pgconn.status != psycopg.pq.ConnStatus.OK:
        text = pgconn.get_error_message("utf-8")
        fault = _login_fault(text, dsn, replication=True, asked_password=bool(pgconn.needs_password or pgconn.used_password))
        pgconn.finish()
        raise fault
    return pgconn


def login_fault(error: Any, dsn: str, *, replication: bool) -> HoldfastError:
    """What a failed connection attempt means."""
    pgconn = getattr(error, "pgconn", None)
    asked = bool(pgconn is not None and (pgconn.needs_password or pgconn.used_password))
    return _login_fault(str(error), dsn, replication=replication, asked_password=asked)


def _login_fault(text: str, dsn: str, *, replication: bool, asked_password: bool) -> HoldfastError:
    where = address(dsn)
    user = parse(dsn).get("user", "the operating system's user")
    said = _without_secrets(text, dsn)
    low = _without_names(said.lower())
    if "max_wal_senders" in low or "too many" in low or "connection slots are reserved" in low:
        return faults.NoWalSender(
            f"{where} takes no further connection: {said}",
            hint="Raise max_wal_senders (and max_connections), or end a standby or backup that is no longer needed.",
        )
    if replication and ("walsender" in low or "wal sender" in low or "replication role" in low or "replication attribute" in low):
        return no_replication_right(where, user)
    if (
        "starting up" in low
        or "shutting down" in low
        or "recovery mode" in low
        or "not accepting connections" in low
        or "not yet accepting" in low
    ):
        return faults.ServerStarting(f"{where} takes no connections now: {said}", hint="Try again when the server is up and consistent.")
    if "does not exist" in low and "database" in low:
        return faults.DatabaseMissing(
            f"{where}: {said}", hint="Name an existing database in the connection string, for example dbname=postgres."
        )
    login_words = ("password", "authentication", "pg_hba.conf", "certificate", "gssapi", "sspi", "not permitted to log in")
    if any(word in low for word in login_words) or ("role" in low and "does not exist" in low) or asked_password:
        line = "replication" if replication else "the database"
        return faults.LoginRefused(
            f"{where} refused the login of {user}: {said}",
            hint=f"Check user and password, and that pg_hba.conf has a line that lets this user and host in for {line}.",
        )
    return faults.ServerUnreachable(
        f"No PostgreSQL server could be reached at {where}: {said}",
        hint="Check that the server runs, that host and port are right, and that no firewall stands between.",
    )


def no_replication_right(where: str, user: str) -> faults.NoReplicationRight:
    return faults.NoReplicationRight(
        f"The role {user} on {where} may not open replication connections.",
        hint=f'As a superuser: ALTER ROLE "{user}" REPLICATION;',
        role=user,
    )


def _without_secrets(text: str, dsn: str) -> str:
    said = " ".join(text.split())
    for key in ("password", "sslpassword"):
        secret = parse(dsn).get(key)
        if secret:
            said = said.replace(secret, "…")
    return said


def _without_names(said: str) -> str:
    """Only the server's and the library's own words count: a host, a folder, a role or a database may be called anything. They stand in
    quotes, as settings do in newer versions.
    """
    return re.sub(r'"(?!max_)[^"]*"', '""', said)


def statement_fault(error: Any, what: str, where: str) -> HoldfastError:
    """What a failed statement (a psycopg Error or anything with ``sqlstate``) means while doing ``what`` on ``where``."""
    return fault_of_state(getattr(error, "sqlstate", None), " ".join(str(error).split()), what, where)


def fault_of_state(state: str | None, said: str, what: str, where: str) -> HoldfastError:
    """The fault for a SQLSTATE: 42501 no right, 53300, 53400 senders or slots used up, 55000 by its words, none: it broke."""
    low = said.lower()
    message = f"{what} failed on {where}: {said}"
    if state == "42501":
        return faults.NoRight(
            message, hint="Grant the role what `holdfast check` lists: REPLICATION, EXECUTE on the backup functions, pg_read_all_settings."
        )
    if state in {"53300", "53400"} and "slot" in low:
        return faults.NoSlotFree(message, hint="Raise max_replication_slots, or drop a slot that nobody uses.")
    if state == "53300":
        return faults.NoWalSender(message, hint="Raise max_wal_senders, or end a standby or backup that is no longer needed.")
    if "wal_level" in low or "wal level" in low:
        return faults.WalLevelMinimal(message, hint="Set wal_level = replica (or logical) in postgresql.conf and restart the server.")
    if "standby was promoted" in low:
        return faults.PromotedDuringBackup(message, hint="Take the backup again; roles are found anew at each run.")
    if "full_page_writes" in low:
        return faults.FullPageWritesOff(message, hint="Set full_page_writes = on at the primary, or take backups from the primary.")
    if state is None or state.startswith(("08", "57P")):
        return faults.BackupBroken(
            message, hint="The connection ended. See the server's log, then take the backup again: what was stored is reused."
        )
    return faults.QueryFailed(message, hint="See the server's log.", sqlstate=state)


def shown_version(number: int) -> str:
    return f"{number // 10000}.{number % 10000}"


def rows(
    connection: "Connection", query: str, parameters: Sequence[Any] | Mapping[str, Any] | None = None, *, what: str = "A query"
) -> list[dict[str, Any]]:
    """All rows of a query by column name. A statement that fails becomes a fault of this room."""
    psycopg = _driver()
    try:
        cursor = connection.execute(query.encode(), parameters)
        names = [column.name for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    except psycopg.Error as error:
        raise statement_fault(error, what, f"{connection.info.host}:{connection.info.port}") from None
