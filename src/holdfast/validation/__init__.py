"""Is restored data right? Checks that only read, each with expected and actual; skipped is never passed, nothing compared is a failure."""

from holdfast.validation.answers import answer, plain, same
from holdfast.validation.checks import Check, ask, run
from holdfast.validation.content import SNAPSHOT, against_snapshot, compare, structure
from holdfast.validation.expectations.errors import SuiteBroke
from holdfast.validation.expectations.suite import suites_in
from holdfast.validation.freshness import Known, Stored, fresh
from holdfast.validation.planned import checks_of
from holdfast.validation.results import Report, Result, joined
from holdfast.validation.sampling import Sampling

__all__ = [
    "SNAPSHOT",
    "Check",
    "Known",
    "Report",
    "Result",
    "Sampling",
    "Stored",
    "SuiteBroke",
    "against_snapshot",
    "answer",
    "ask",
    "checks_of",
    "compare",
    "fresh",
    "joined",
    "plain",
    "run",
    "same",
    "structure",
    "suites_in",
]
