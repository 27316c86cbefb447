"""Suites of Great Expectations as checks: read from files, judged by the library in a process of its own, derived from a healthy table."""

from holdfast.validation.expectations.derive import DISTINCT, derive
from holdfast.validation.expectations.errors import SuiteBroke, SuiteDamaged, SuiteEmpty, SuiteMissing, SuiteTaken
from holdfast.validation.expectations.run import belongs, coordinate, outcomes, profile
from holdfast.validation.expectations.suite import Expectation, Suite, parse, read, suites_in

__all__ = [
    "DISTINCT",
    "Expectation",
    "Suite",
    "SuiteBroke",
    "SuiteDamaged",
    "SuiteEmpty",
    "SuiteMissing",
    "SuiteTaken",
    "belongs",
    "coordinate",
    "derive",
    "outcomes",
    "parse",
    "profile",
    "read",
    "suites_in",
]
