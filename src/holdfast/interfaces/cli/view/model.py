"""What the screen shows, gathered from the run as it goes on. The driver writes here and never waits for a terminal."""

import datetime as dt
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from holdfast.interfaces.cli.commands.runbook.runs.watching import harmless, said
from holdfast.runbooks.engine.state import RunState

WIDEST = 4096
"""Characters of a line that is shown while its step is at work."""
LINES = 2000
"""Lines of output that are kept; all of it is in the record of the run."""


@dataclass(frozen=True)
class Question:
    """``id`` changes with each question, so that an answer never meets another one than its own."""

    id: str
    title: str
    text: str
    choices: tuple[tuple[str, str], ...]
    prompt: str
    offers: tuple[str, ...]


@dataclass
class Row:
    id: str
    title: str
    kind: str
    mark: str = "pending"
    began: dt.datetime | None = None
    ended: dt.datetime | None = None
    last: str = ""


@dataclass
class Model:
    """Guarded by ``lock``; ``changed`` is set whenever something is to be shown anew.

    ``since``: when the clock of the promise began; ``rto``: what was promised, None when nothing was.
    """

    since: dt.datetime | None = None
    rto: dt.timedelta | None = None
    incident: str = ""
    title: str = ""
    run: str = ""
    status: str = ""
    rows: list[Row] = field(default_factory=list)
    output: deque[str] = field(default_factory=lambda: deque(maxlen=LINES))
    live: deque[str] = field(default_factory=lambda: deque(maxlen=LINES))
    """What the step at work printed so far; ``begun``: lines of it that have no end yet, by stream."""
    begun: dict[str, str] = field(default_factory=dict)
    output_of: str = ""
    question: Question | None = None
    saying: str = ""
    wide: bool = False
    scroll: int = 0
    transcript: list[str] = field(default_factory=list)
    lock: threading.RLock = field(default_factory=threading.RLock)
    changed: threading.Event = field(default_factory=threading.Event)

    def told(self, state: RunState, event: str, data: dict[str, Any], now: dt.datetime) -> None:
        """What was just written down."""
        with self.lock:
            self.look(state)
            row = next((row for row in self.rows if row.id == data.get("step")), None)
            line = harmless(said(event, data))
            if row is not None:
                _moved(row, event, data, now)
                row.last = line
            if event in ("started", "attached", "finished", "undo_started", "undo_finished"):
                self.live.clear()
                self.begun.clear()
            for name, stream in data.get("streams", {}).items():
                self.output_of, self.scroll = str(data.get("step")), 0
                self.output.append(f"── {data.get('step')}" + ("" if name == "out" else f" ({name})"))
                self.output.extend(harmless(text).expandtabs(4) for text in stream["text"].splitlines()[-LINES:])
            self.transcript.append(f"{row.id}: {line}" if row else line)
            self.changed.set()

    def printed(self, step: str, stream: str, text: str) -> None:
        """What a step prints while it is at work."""
        with self.lock:
            if not self.live:
                self.output_of, self.scroll = step, 0
                self.live.append(f"── {step}, at work")
            *whole, rest = (self.begun.get(stream, "") + text).split("\n")
            # Of a line that was written over in place the last state counts; one without an end is cut.
            self.begun[stream] = rest[-WIDEST:]
            fresh = [f"{'' if stream == 'out' else '! '}{_last(line)}" for line in whole[-LINES:]]
            self.live.extend(fresh)
            if self.scroll:
                self.scroll += len(fresh)  # who reads further up stays there
            self.changed.set()

    @property
    def shown(self) -> list[str]:
        """All lines of output, the newest last."""
        halves = [f"{'' if stream == 'out' else '! '}{_last(line)}" for stream, line in sorted(self.begun.items()) if line]
        return [*self.output, *self.live, *halves]

    def look(self, state: RunState) -> None:
        """The run as a whole, as it is now."""
        with self.lock:
            if not self.rows:
                self.title, self.run = state.document["title"], state.id
                self.since = self.since or state.begun
                self.rows = [Row(step["id"], step["title"], step["kind"]) for step in state.document["steps"]]
                for row in self.rows:
                    row.mark = state.steps[row.id].undo or state.steps[row.id].phase
            self.status = state.status
            self.changed.set()

    def note(self, text: str) -> None:
        """An aside of some other part of the program."""
        with self.lock:
            self.saying = harmless(text).strip()
            self.transcript.append(self.saying)
            self.changed.set()


def _last(line: str) -> str:
    return harmless(line.rstrip("\r").rpartition("\r")[2][:WIDEST]).expandtabs(4)


def _moved(row: Row, event: str, data: dict[str, Any], now: dt.datetime) -> None:
    if event == "attached":
        row.mark, row.began, row.ended = "running", now, None
        return
    if event in ("started", "undo_started", "requested"):
        row.mark, row.began, row.ended = {"started": "running", "requested": "requested"}.get(event, "undoing"), now, None
        return
    marks = {
        "confirmed": "done",
        "chosen": "done",
        "given": row.mark,
        "skipped": "skipped",
        "expired": "expired",
        "rejected": "failed",
        "undo_skipped": "skipped",
    }
    if event == "finished":
        row.mark = "done" if data.get("outcome") == "ok" else "failed"
    elif event == "undo_finished":
        row.mark = "undone" if data.get("outcome") == "ok" else "failed"
    elif event == "probed":
        row.mark = {"yes": "done", "no": "again"}.get(str(data.get("answer")), "uncertain")
    elif event == "undo_probed":
        row.mark = {"no": "undone"}.get(str(data.get("answer")), "uncertain")
    elif event == "settled":
        row.mark = "done" if data.get("happened") else "again"
    else:
        row.mark = marks.get(event, row.mark)
    row.ended = now
