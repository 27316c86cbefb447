"""What can be wrong with a suite of expectations, and with running one."""

from holdfast.errors import FoundWrong, Refused, Usage


class SuiteMissing(Usage):
    """The plan names a suite, or a folder of them, and nothing is there."""

    code = "suite-missing"


class SuiteDamaged(FoundWrong):
    """A file is no suite of Great Expectations, or is damaged."""

    code = "suite-damaged"


class SuiteEmpty(FoundWrong):
    """A suite expects nothing: it would prove nothing."""

    code = "suite-empty"


class SuiteBroke(FoundWrong):
    """Great Expectations could not judge a table: it failed, took too long or needed too much memory."""

    code = "suite-broke"


class SuiteTaken(Refused):
    """The file that a suite was to be written to is there already."""

    code = "suite-taken"
