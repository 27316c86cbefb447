"""A person at a terminal, or nobody: how a run is told, and how it asks."""

import datetime as dt
import select
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.interfaces.cli.context import Session
from holdfast.runbooks.engine.answers import answer
from holdfast.runbooks.engine.decide import Next
from holdfast.runbooks.engine.people import Person
from holdfast.runbooks.engine.state import RunState
from holdfast.runbooks.format.insert import insert

POLL_S = 1.0


class Telling:
    """Plain lines on stderr; leaves every question waiting."""

    def __init__(self, session: Session) -> None:
        self.out = session.out
        self.session = session

    def told(self, state: RunState, event: str, data: dict[str, Any]) -> None:
        ids = [step["id"] for step in state.document["steps"]]
        step = data.get("step")
        where = f"[{ids.index(step) + 1}/{len(ids)}] {step}: " if step in ids else ""
        if event in ("finished", "undo_finished", "probed", "undo_probed"):
            for name, stream in data.get("streams", {}).items():
                for line in stream["text"].splitlines()[-20:]:
                    self.out.note(f"    {'' if name == 'out' else '! '}{harmless(line)}")
        self.out.note(f"{where}{harmless(said(event, data))}")

    def ask(self, _state: RunState, _asked: Next) -> tuple[str, dict[str, Any]] | str | None:
        return None


class AtTerminal(Telling):
    """Asks on stderr, reads from stdin. Others may answer from where they are; an approval mostly comes from there."""

    def __init__(self, session: Session, person: Person) -> None:
        super().__init__(session)
        self.person = person
        self._shown = ""
        self._prompted = ""

    def ask(self, state: RunState, asked: Next) -> tuple[str, dict[str, Any]] | str | None:
        spec = state.spec(asked.step)
        shown = f"{asked.step} {asked.what} {state.n}"
        if shown != self._shown:
            self._shown = shown
            self.out.note("")
            self.out.note(f"{spec['title']} ({asked.step}): {insert(asked.text, state.values())}".rstrip())
            for name, meaning in spec.get("choose", {}).items():
                self.out.note(f"  {name}: {meaning}")
            if asked.what == "approve":
                expires = state.steps[asked.step].expires
                self.out.note(f"  Waiting until {expires:%H:%M:%S} UTC. Somebody else: holdfast runbook approve {state.id} {asked.step}")
        return self._typed(state, asked)

    def _typed(self, state: RunState, asked: Next) -> tuple[str, dict[str, Any]] | str | None:
        if self._prompted != self._shown:
            self._prompted = self._shown
            self.out.stderr.write(f"{PROMPTS[asked.what]}, skip REASON, abort REASON, or leave: ")
            self.out.stderr.flush()
        # Somebody elsewhere may answer first: the run is looked at again and again.
        if not select.select([sys.stdin], [], [], POLL_S)[0]:
            return "again"
        self._prompted = ""
        typed = sys.stdin.readline()
        if not typed:  # the terminal is gone
            return None
        if not typed.strip():
            return "again"
        found = understood(state, asked, self.person, typed.strip(), self.session.clock.now())
        if isinstance(found, str):
            self.out.warn(found)
            return "again"
        return found


def understood(state: RunState, asked: Next, person: Person, line: str, now: dt.datetime) -> tuple[str, dict[str, Any]] | str | None:
    """What a typed line means: the event that answers, None to leave the run waiting, or what is wrong with it."""
    word, _, rest = line.partition(" ")
    if word == "leave":
        return None
    if word == "as":
        name, _, line = rest.strip().partition(" ")
        if not line.strip() or line.split()[0] == "as":
            return "as wants a name and what that person says: as NAME approve"
        said_by = understood(state, asked, replace(person, name=name), line.strip(), now)
        return (said_by[0], {"by": replace(person, name=name).to_json(), **said_by[1]}) if isinstance(said_by, tuple) else said_by
    if word in ("skip", "abort"):
        if not rest.strip():
            return f"{word} wants a reason"
        undoing = state.status == "aborting"
        return (
            ("undo_skipped" if undoing else "skipped", {"reason": rest}) if word == "skip" else ("aborted", {"reason": rest, "undo": True})
        )
    given: dict[str, Any] = {"note": rest}
    if asked.what == "choose":
        given["choice"] = word
    elif asked.what == "approve":
        if word not in ("approve", "reject", "break-glass"):
            return "type approve or reject, with a note behind it"
        given |= {"reject": word == "reject", "break_glass": word == "break-glass"}
    elif asked.what in ("settle", "undo_settle"):
        given["happened"] = {"yes": True, "no": False}.get(word)
    elif asked.what == "output":
        given = {"note": "", "outputs": dict(part.split("=", 1) for part in line.split() if "=" in part)}
    elif word != "done":
        return "type 'done' when it is done"
    try:
        return answer(state, asked, person, given, now)
    except HoldfastError as error:
        return f"{error.message} {error.hint}"


PROMPTS = {
    "confirm": "done [NOTE]",
    "choose": "your choice [NOTE]",
    "settle": "yes or no [NOTE]",
    "undo_settle": "yes or no [NOTE]",
    "undo_confirm": "done [NOTE]",
    "output": "NAME=VALUE",
    "approve": "approve [NOTE] or reject [NOTE], another person here: as NAME approve",
}


def harmless(text: str) -> str:
    """What a step printed, without characters that would move a terminal's cursor, hide text or set its title."""
    return "".join(character if character.isprintable() or character in "\t\n" else "\N{REPLACEMENT CHARACTER}" for character in text)


def said(event: str, data: dict[str, Any]) -> str:
    """One line about an event."""
    by = data.get("by") or {}
    who = by.get("name", "")
    note = f": {data['note']}" if data.get("note") else ""
    message = f": {data['message']}" if data.get("message") else ""
    outputs = "".join(f" {name}={value}" for name, value in (data.get("outputs") or {}).items())
    words: dict[str, Callable[[], str]] = {
        "begin": lambda: f"begun by {who}",
        "resumed": lambda: f"taken up again by {who}{'; its step ' + data['attached'] + ' is waited for' if data.get('attached') else ''}",
        "attached": lambda: "is at work or ended unseen: it is waited for, not begun again",
        "taken": lambda: f"taken over by {who} from {data.get('from')}",
        "stopped": lambda: f"stopped: {data.get('why')}",
        "aborted": lambda: f"aborted by {who}: {data.get('reason')}",
        "ended": lambda: f"ended: {data.get('outcome')}",
        "started": lambda: f"begins (attempt {data.get('attempt')})",
        "noted": lambda: f"notes what was there before: {data.get('note')}",
        "finished": lambda: f"{data.get('outcome')}{_seconds(data)}{_attached(data)}{message}{outputs}",
        "probed": lambda: f"did it happen? {data.get('answer')}{message}{outputs}",
        "settled": lambda: f"{who} says that it {'happened' if data.get('happened') else 'did not happen'}{note}",
        "given": lambda: f"{who} gives{outputs}",
        "confirmed": lambda: f"confirmed by {who}{note}",
        "chosen": lambda: f"{who} chose {data.get('choice')}{note}",
        "requested": lambda: f"approval asked for by {who}, until {data.get('expires')}",
        "approved": lambda: f"{'GLASS BROKEN' if data.get('break_glass') else 'approved'} by {who}{note}",
        "rejected": lambda: f"rejected by {who}{note}",
        "expired": lambda: "nobody approved in time",
        "skipped": lambda: f"left out{' by ' + who if who else ''}: {data.get('reason')}",
        "undo_started": lambda: "is undone",
        "undo_finished": lambda: f"undo: {data.get('outcome')}{_attached(data)}{message}",
        "undo_probed": lambda: f"is it still there? {data.get('answer')}{message}",
        "undo_settled": lambda: f"{who} says that it {'was' if data.get('undone') else 'was not'} undone{note}",
        "undo_skipped": lambda: f"not undone, by {who}: {data.get('reason')}",
    }
    return words.get(event, lambda: event)()


def _attached(data: dict[str, Any]) -> str:
    return " (begun before the run was taken up again, and not a second time)" if data.get("attached") else ""


def _seconds(data: dict[str, Any]) -> str:
    return f" in {data['seconds']} s" if data.get("seconds") is not None else ""
