"""What can go wrong between Holdfast and a PostgreSQL server, each with its stable code and what to do about it."""

from holdfast.errors import FoundWrong, Refused, Unreachable, Usage


class ServerUnreachable(Unreachable):
    """No server answered at the address, or the connection broke."""

    code = "pg-unreachable"


class ServerStarting(Unreachable):
    """The server answered that it takes no connections now: starting up, shutting down, or not yet consistent."""

    code = "pg-not-accepting"


class ConnectionStringBad(Usage):
    """A connection string that libpq cannot read."""

    code = "pg-connection-string"


class LoginRefused(Unreachable):
    """Password, certificate, role or pg_hba.conf: the server refused the login."""

    code = "pg-auth"


class DatabaseMissing(Usage):
    """The database named in the connection does not exist."""

    code = "pg-database-missing"


class NoReplicationRight(Usage):
    """The role may not open replication connections."""

    code = "pg-no-replication-right"


class NoRight(Usage):
    """The role lacks a right that the work needs."""

    code = "pg-no-right"


class WalLevelMinimal(Usage):
    """``wal_level = minimal``: the server does not log enough to be backed up while it runs."""

    code = "pg-wal-level-minimal"


class NoWalSender(Unreachable):
    """All ``max_wal_senders`` (or connections) are in use."""

    code = "pg-max-wal-senders"


class NoSlotFree(Unreachable):
    """All ``max_replication_slots`` are in use."""

    code = "pg-max-replication-slots"


class VersionUnsupported(Usage):
    """A PostgreSQL outside 14 to 18."""

    code = "pg-version-unsupported"


class NoSuitableMember(Unreachable):
    """None of the members has the role, or the freshness, that the plan asks for."""

    code = "pg-no-suitable-member"


class MembersDiffer(Refused):
    """Members that do not belong to one cluster, or two primaries at once."""

    code = "pg-members-differ"


class PatroniUnreachable(Unreachable):
    """Patroni's REST address did not answer, or with something else than a cluster."""

    code = "pg-patroni-unreachable"


class DataDirectoryDiffers(Usage):
    """The data directory in the plan is not the one that the server runs in."""

    code = "pg-data-directory-differs"


class DataDirectoryUnreadable(Usage):
    """The data directory, or a file in it, cannot be read by this user."""

    code = "pg-data-directory-unreadable"


class ControlFileBad(FoundWrong):
    """``global/pg_control`` does not hold what a control file must."""

    code = "pg-control-bad"


class BackupBroken(FoundWrong):
    """The server ended the backup before its time: connection lost, backup mode left, crash."""

    code = "pg-backup-broken"


class PromotedDuringBackup(FoundWrong):
    """The standby that was being captured was promoted."""

    code = "pg-promoted-during-backup"


class BackupWalMissing(FoundWrong):
    """The WAL between start and stop of the backup did not reach the vault: without it the point could not be restored."""

    code = "pg-backup-wal-missing"


class FullPageWritesOff(Usage):
    """A standby can be captured only while the primary writes full pages."""

    code = "pg-full-page-writes-off"


class QueryFailed(FoundWrong):
    """A statement that Holdfast needed failed on the server."""

    code = "pg-query-failed"


class DumpFailed(FoundWrong):
    """``pg_dump`` ended with an error, or is not there."""

    code = "pg-dump-failed"


class StreamMalformed(FoundWrong):
    """The server's base backup stream does not have the shape that its protocol promises."""

    code = "pg-stream-malformed"
