"""Is restored data right? Checks that only read, each with expected and actual; skipped is never passed, nothing compared is a failure."""

from holdfast.validation.answers import answer, plain, same
from holdfast.validation.checks import Check, ask, run
from holdfast.validation.content import compare, structure
from holdfast.validation.expectations.errors import SuiteBroke
from holdfast.validation.expectations.suite import suites_in
from holdfast.validation.results import Report, Result, joined

__all__ = [
    "Check",
    "Report",
    "Result",
    "SuiteBroke",
    "answer",
    "ask",
    "compare",
    "joined",
    "plain",
    "run",
    "same",
    "structure",
    "suites_in",
]
