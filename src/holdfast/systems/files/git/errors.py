"""What can go wrong with a Git repository."""

from holdfast.errors import Damaged, Refused, Unreachable, Usage


class GitMissing(Usage):
    """Git is not installed, or too old."""

    code = "git-missing"


class GitAddress(Usage):
    """The address of a repository is not understood, or its transport is not allowed."""

    code = "git-address"


class GitUnreachable(Unreachable):
    """A repository does not answer, is gone, or refuses the credentials."""

    code = "git-unreachable"


class GitSilent(Unreachable):
    """A repository's server stopped answering in the middle of the work."""

    code = "git-silent"


class GitIncomplete(Refused):
    """A shallow or partial clone: a bundle of it would lack history."""

    code = "git-incomplete"


class GitBusy(Refused):
    """Another process works on the same repository's cache."""

    code = "git-busy"


class GitFailed(Refused):
    """Git did not do what was asked of it, on this machine."""

    code = "git-failed"


class GitTargetTaken(Refused):
    """Something stands where a repository is to be restored."""

    code = "git-target-taken"


class GitBundleWrong(Damaged):
    """A bundle does not give back the repository that was captured."""

    code = "git-bundle-wrong"
