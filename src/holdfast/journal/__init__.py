"""The append-only record of everything that ran, saw and proved."""

from holdfast.journal.chain import Problem, check, compare
from holdfast.journal.journal import Copies, Journal, JournalBroken, JournalUnwritable
from holdfast.journal.record import Record, parse

__all__ = ["Copies", "Journal", "JournalBroken", "JournalUnwritable", "Problem", "Record", "check", "compare", "parse"]
