"""The journal is copied into the vault while something runs, not only at its end: another host can go on from there."""

import threading
from collections.abc import Callable
from typing import Self

from holdfast.assembly.vault.places import Places
from holdfast.errors import HoldfastError
from holdfast.model import Clock
from holdfast.plan import Plan

PATIENCE = 60.0
"""Seconds that the end waits for the last copy."""


class Recording:
    """``with Recording(plan, clock, told) as recording: … recording.nudge()``: each nudge has what was written until then copied soon, by a
    thread of its own. Nothing waits for it, and nothing fails by it: what hinders it is told, once, to ``told``.
    """

    def __init__(self, plan: Plan, clock: Clock, told: Callable[[str], None]) -> None:
        self._places = Places(plan, clock=clock)
        self._told = told
        self._said: set[str] = set()
        self._due = threading.Event()
        self._over = False
        self._thread = threading.Thread(target=self._work, name="copies of the journal", daemon=True)

    def nudge(self) -> None:
        """There is something new. Returns at once."""
        self._due.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._due.set()
        self._thread.join(PATIENCE)

    def _work(self) -> None:
        try:
            while not self._over:
                self._due.wait()
                self._due.clear()
                self._copy()
            if self._due.is_set():
                self._copy()
        finally:
            self._places.close()

    def _copy(self) -> None:
        try:
            self._places.vault()
            wrong = self._places.copy_records()
        except HoldfastError as error:
            wrong = [f"The record of what runs is not copied into the vault meanwhile: {error.message}"]
        for sentence in wrong:
            if sentence not in self._said:
                self._said.add(sentence)
                self._told(sentence)
