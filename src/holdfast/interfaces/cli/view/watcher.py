"""Looks on at a full screen, and asks there.

One thread reads keys and draws; the driver's own thread only leaves word for it, so that a line that hangs holds up no step. An answer is
taken for the question that was on the screen when Enter was pressed, and is shown as given only after it was written down.
"""

import contextlib
import datetime as dt
import io
import os
import queue
import sys
import threading
from typing import Any, Self

from holdfast.interfaces.cli.commands.runbook.runs.watching import PROMPTS, harmless, understood
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.view.keys import Keys, Line
from holdfast.interfaces.cli.view.layout import encoded, frame
from holdfast.interfaces.cli.view.model import Model, Question
from holdfast.interfaces.cli.view.screen import Screen
from holdfast.runbooks.engine.decide import Next
from holdfast.runbooks.engine.people import Person
from holdfast.runbooks.engine.state import RunState
from holdfast.runbooks.format.insert import insert

POLL_S = 0.5
OFFERS = {
    "confirm": ("done",),
    "undo_confirm": ("done",),
    "settle": ("yes", "no"),
    "undo_settle": ("yes", "no"),
    "approve": ("approve", "reject "),
}


def possible() -> bool:
    """Whether there is a terminal that a screen can be drawn on."""
    return sys.stdin.isatty() and sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in ("dumb", "")


class FullScreen:
    """A watcher of a driver, for as long as its block runs. ``since`` and ``rto``: the promise's clock (the run's begin by default)."""

    def __init__(
        self, session: Session, person: Person, *, since: dt.datetime | None = None, rto: dt.timedelta | None = None, incident: str = ""
    ) -> None:
        self.session, self.person = session, person
        self.model = Model(since=since, rto=rto, incident=incident)
        self._screen = Screen(sys.stdin.fileno(), sys.stderr.fileno())
        self._line, self._keys = Line(), Keys()
        self._answers: queue.Queue[tuple[str, str] | None] = queue.Queue()
        self._over = threading.Event()
        self._wake = os.pipe()
        os.set_blocking(self._wake[1], False)  # one word that waits is as good as many
        self._thread = threading.Thread(target=self._run, name="view", daemon=True)
        self._colors = "NO_COLOR" not in os.environ
        self._gone = False
        self._stderr = session.out.stderr

    def __enter__(self) -> Self:
        self._screen.__enter__()
        # What other parts of the program say goes onto the screen, not across it.
        self.session.out.stderr = _Asides(self.model)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._nudge()
        self._thread.join(5.0)
        self._screen.__exit__()
        self.session.out.stderr = self._stderr
        # The screen leaves nothing behind: what happened stays above the prompt.
        with contextlib.suppress(OSError):
            for line in self.model.transcript:
                self.session.out.note(line)
        for end in self._wake:
            os.close(end)

    # ------------------------------------------------------------ what the driver calls

    def told(self, state: RunState, event: str, data: dict[str, Any]) -> None:
        self.model.told(state, event, data, self.session.clock.now())
        self._nudge()

    def printed(self, step: str, stream: str, text: str) -> None:
        self.model.printed(step, stream, text)
        self._nudge()

    def ask(self, state: RunState, asked: Next) -> tuple[str, dict[str, Any]] | str | None:
        question = _question(state, asked)
        with self.model.lock:
            self.model.look(state)
            fresh = self.model.question is None or self.model.question.id != question.id
            if fresh:
                if self._line.text.strip():
                    self.model.saying = f"Not used, since the question changed: {self._line.text}"
                # What was typed for another question answers none.
                self._line = Line()
                self.model.question = question
        self._nudge()
        answer = self._wait(question.id)
        if answer == "again":
            return "again"
        with self.model.lock:
            if answer is None:
                self.model.question = None
                return None
            found = understood(state, asked, self.person, answer, self.session.clock.now())
            if isinstance(found, str):
                self.model.saying = found
                self.model.changed.set()
                return "again"
            self.model.saying, self.model.question = "", None
            return found

    def _wait(self, question: str) -> str | None:
        """What was entered for this question; None to leave, 'again' when nothing was."""
        try:
            entered = self._answers.get(timeout=POLL_S)
        except queue.Empty:
            return None if self._gone else "again"
        if entered is None:
            return None
        asked, text = entered
        if asked != question:
            self.model.note(f"Not used, since the question changed: {text}")
            return "again"
        return text or "again"

    # ------------------------------------------------------------ the other thread

    def _nudge(self) -> None:
        with contextlib.suppress(OSError):
            os.write(self._wake[1], b".")

    def _run(self) -> None:
        try:
            while not self._over.is_set():
                self._draw()
                data = self._screen.read(POLL_S, self._wake[0])
                if data is None:
                    raise OSError("the terminal is gone")
                self._drain()
                for name, text in self._keys.feed(data):
                    self._press(name, text)
            self._draw()
        except (OSError, ValueError):
            # The run goes on without anybody who looks; a question is left waiting.
            self._gone = True
            self._answers.put(None)

    def _drain(self) -> None:
        import select

        while select.select([self._wake[0]], [], [], 0)[0]:
            os.read(self._wake[0], 4096)

    def _press(self, name: str, text: str) -> None:
        with self.model.lock:
            question = self.model.question
            page = max(self._screen.size()[1] // 2, 1)
            if name == "redraw":
                self._screen.again()
            elif name == "output":
                self.model.wide = not self.model.wide
            elif name in ("up", "down", "older", "newer"):
                step = page if name in ("up", "down") else 1
                self.model.scroll += step if name in ("up", "older") else -step
            elif question is None:
                # Nothing is asked: what is typed ahead must not answer what comes.
                return
            elif name in ("f2", "f3", "f4"):
                self._line.text = {"f2": question.offers[0] if question.offers else "", "f3": "skip ", "f4": "abort "}[name]
            elif name == "end":
                if not self._line.text:
                    self._line.text = "leave"
            else:
                entered = self._line.press(name, text, question.offers)
                if entered is not None and entered.strip():
                    self._answers.put((question.id, entered.strip()))

    def _draw(self) -> None:
        size = self._screen.size()
        lines = frame(self.model, self._line.text, *size, self.session.clock.now())
        self._screen.show([encoded(line, self._colors) for line in lines], size)


class _Asides(io.TextIOBase):
    """Stands for stderr meanwhile."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def write(self, text: str) -> int:
        if text.strip():
            self._model.note(text)
        return len(text)


def _question(state: RunState, asked: Next) -> Question:
    spec = state.spec(asked.step)
    choices = tuple((name, harmless(str(meaning))) for name, meaning in spec.get("choose", {}).items()) if asked.what == "choose" else ()
    offers = tuple(name for name, _ in choices) or OFFERS.get(asked.what, ())
    text = harmless(insert(asked.text, state.values()))
    if asked.what == "approve":
        expires = state.steps[asked.step].expires
        until = f"Waiting until {expires:%H:%M:%S} UTC. " if expires else ""
        text += f"\n{until}Somebody else: holdfast runbook approve {state.id} {asked.step}"
        if spec.get("break_glass"):
            offers = (*offers, "break-glass ")
    return Question(
        f"{asked.step} {asked.what} {state.n}",
        f"{spec['title']} ({asked.step})",
        text,
        choices,
        f"{PROMPTS[asked.what]}, skip REASON, abort REASON, or leave",
        (*offers, "skip ", "abort ", "leave"),
    )
