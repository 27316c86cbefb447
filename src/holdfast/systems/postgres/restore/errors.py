"""Refusals of a restore: each before anything is written."""

from holdfast.errors import Damaged, FoundWrong, Refused, Unreachable, Usage


class NoRecoveryPoint(Refused):
    """The vault holds no recovery point of this system, or none of that id or label."""

    code = "no-recovery-point"


class TargetUnreachable(Refused):
    """No recovery point and stretch of log leads to the target; the message names the nearest that can be reached, and what is missing."""

    code = "target-unreachable"


class TargetAmbiguous(Refused):
    """More than one timeline reaches the target, with different data."""

    code = "target-ambiguous"


class DirectoryNotEmpty(Refused):
    """The directory holds something already."""

    code = "restore-directory-not-empty"


class DirectoryRunning(Refused):
    """A server runs on the directory."""

    code = "restore-directory-running"


class OtherCluster(Refused):
    """The directory belongs to another cluster (system identifier)."""

    code = "restore-other-cluster"


class SourcePath(Refused):
    """A tablespace would be written to the path that the source uses, or into a folder that holds something."""

    code = "restore-tablespace-path"


class NoRoom(Unreachable):
    """Not enough room on the file system that the restore goes to."""

    code = "restore-no-room"


class RestoreDenied(Unreachable):
    """The target cannot be written, or the server's account cannot reach it."""

    code = "restore-denied"


class NotRestorable(Damaged):
    """The point lacks what every base backup has: wrong bytes, or a point that is not one of a PostgreSQL cluster."""

    code = "point-not-restorable"


class RecoveryFailed(FoundWrong):
    """PostgreSQL stopped before it reached the target."""

    code = "recovery-failed"


class BadMapping(Usage):
    """A tablespace mapping that names no tablespace of the point, or is not OLD=NEW with absolute paths."""

    code = "tablespace-mapping-wrong"
