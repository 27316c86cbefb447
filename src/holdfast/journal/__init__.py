"""The append-only record of everything that ran, saw and proved."""

from holdfast.journal.chain import Problem, check, compare
from holdfast.journal.identity import HostKey
from holdfast.journal.journal import Copies, Journal, JournalBroken, JournalUnwritable, boot
from holdfast.journal.record import Record, canonical, parse

__all__ = [
    "Copies",
    "HostKey",
    "Journal",
    "JournalBroken",
    "JournalUnwritable",
    "Problem",
    "Record",
    "boot",
    "canonical",
    "check",
    "compare",
    "parse",
]
