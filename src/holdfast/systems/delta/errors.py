"""What can go wrong with Delta tables."""

from holdfast.errors import Damaged, FoundWrong, Refused, Unreachable, Usage


class TableMissing(Unreachable):
    """A table of the plan is not there: no transaction log lies below its path."""

    code = "delta-table-missing"


class StoreFault(Unreachable):
    """The store of a lake did not answer, or not as it should."""

    code = "delta-store"


class LogBroken(FoundWrong):
    """A table's log lacks a commit, or holds something that cannot be read: no state of its version can be made."""

    code = "delta-log-broken"


class VectorBroken(FoundWrong):
    """A deletion vector cannot be read: which rows of its file are deleted is not known."""

    code = "delta-vector-broken"


class FileBroken(FoundWrong):
    """A data file of a table cannot be read."""

    code = "delta-file-broken"


class FeatureUnknown(Refused):
    """A table uses a feature of the protocol that is not supported."""

    code = "delta-feature"


class TablesNested(Refused):
    """One table lies inside another: whose file is whose could not be told."""

    code = "delta-tables-nested"


class RaceLost(FoundWrong):
    """Vacuums removed files of the pinned version again and again while they were copied."""

    code = "delta-race-lost"


class SharedOdd(Refused):
    """A worker of an executor handed over other files than it was asked for."""

    code = "delta-shared-odd"


class SharedUnseen(Unreachable):
    """A worker of an executor does not see files that are there."""

    code = "delta-shared-unseen"


class NothingFound(Refused):
    """No table is there for the plan's patterns, though the last point holds some."""

    code = "delta-no-tables"


class NoVersion(Refused):
    """No recovery point holds the table at the version or time that was asked for."""

    code = "delta-no-version"


class RestoreUsage(Usage):
    """The options of a restore of Delta tables do not go together."""

    code = "delta-restore-usage"


class TargetTaken(Refused):
    """Something stands where a table is to be restored."""

    code = "delta-target-taken"


class TableMoved(Refused):
    """Somebody committed to the table while it was being restored."""

    code = "delta-table-moved"


class RewindRefused(Refused):
    """The table cannot be brought back by a commit on itself."""

    code = "delta-rewind-refused"


class PointNonsense(Damaged):
    """A recovery point of Delta tables does not hold what its own log names."""

    code = "delta-point-nonsense"


class QueryFailed(FoundWrong):
    """A check's SQL failed on the tables."""

    code = "delta-query"
