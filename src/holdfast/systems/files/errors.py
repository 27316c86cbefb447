"""What can go wrong with files."""

from holdfast.errors import Damaged, FoundWrong, Refused, Unreachable, Usage


class PathVanished(Unreachable):
    """A path of the plan is not there, or is no folder or file."""

    code = "files-path-missing"


class PathEmptied(Refused):
    """A path of the plan held files in the last point and is empty now: perhaps something is not mounted."""

    code = "files-path-emptied"


class PatternWrong(Usage):
    """A pattern of what to leave out is not understood."""

    code = "files-pattern"


class NothingNamed(Usage):
    """A system of kind files names nothing to protect."""

    code = "files-nothing-named"


class NoPoint(Refused):
    """No recovery point lies at or before the moment that was asked for."""

    code = "files-no-point"


class TargetMissing(Usage):
    """What was asked for is not in the recovery point, or the options of the restore do not go together."""

    code = "files-restore-usage"


class TargetTaken(Refused):
    """Something stands where files are to be restored."""

    code = "files-target-taken"


class TargetTooSmall(Refused):
    """The file system that a restore goes to has too little room."""

    code = "files-target-too-small"


class DiskFull(FoundWrong):
    """The file system filled up in mid-restore."""

    code = "files-disk-full"


class NotWritten(FoundWrong):
    """A file could not be restored as it was."""

    code = "files-not-written"


class TargetMoved(Refused):
    """Somebody replaced a folder of the target by something else while files were restored into it."""

    code = "files-target-moved"


class NoQuestions(Usage):
    """A check by SQL was asked of files."""

    code = "files-no-sql"


class EntryNonsense(Damaged):
    """A recovery point holds an entry of a folder that none could have written."""

    code = "files-entry-nonsense"


class EntryUnknown(Damaged):
    """The list of a point is damaged where it would say whether it holds what was asked for."""

    code = "files-entry-unknown"


class MountInTheWay(Refused):
    """Something is mounted below what --remove-extra would remove from: nothing of another mount is ever removed."""

    code = "files-mount-in-the-way"


class VaultInside(Refused):
    """A location of the vault lies in what a system protects, or a path of the system in the vault."""

    code = "files-vault-inside"
