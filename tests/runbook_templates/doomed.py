"""The real command line in a process that ends by SIGKILL at planned places: before a step is begun, while it is at work, after its effect.

``python -m tests.runbook_templates.doomed PLAN WORD…``: PLAN is a file of JSON, ``{"fired": FILE, "places": [[step, moment]]}``. A place
that was reached is written into ``fired`` first, so that the next process passes it. Moments:

``before``  nothing of the step was written down.
``in``      its action was begun; its process goes on alone, as when the terminal is closed.
``dead``    its action was begun, and ends with the process, as when the machine goes down.
``after``   it happened, and nobody wrote that down.
"""

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

WRITTEN = {"before": ("started", "confirmed", "chosen", "approved"), "after": ("finished",)}
ANSWERS = ("confirmed", "chosen", "approved")


class Doom:
    def __init__(self, plan: Path) -> None:
        said = json.loads(plan.read_text())
        self.fired = Path(said["fired"])
        done = {tuple(json.loads(line)) for line in self.fired.read_text().splitlines()} if self.fired.exists() else set()
        self.places = {tuple(place) for place in said["places"]} - done
        self.awaited: dict[str, str] = said.get("awaited", {})

    def strike(self, step: str | None, moment: str, children: Sequence[int] = ()) -> None:
        """Nothing where that was not planned."""
        if step is None or (step, moment) not in self.places:
            return
        if moment == "dead" and step in self.awaited:
            end = time.monotonic() + 60
            while not _there(self.awaited[step]) and time.monotonic() < end:
                time.sleep(0.01)
        with self.fired.open("a") as file:
            file.write(json.dumps([step, moment]) + "\n")
            file.flush()
            os.fsync(file.fileno())
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


def _there(pattern: str) -> bool:
    path = Path(pattern)
    return any(path.parent.glob(path.name))


def plant(doom: Doom) -> None:
    from holdfast.interfaces.cli.commands.runbook.runs.watching import Telling
    from holdfast.runbooks.engine.at_work import AtWork
    from holdfast.runbooks.engine.driver import Driver
    from holdfast.runbooks.engine.record import Records

    append, began, ask, waited = Records.append, AtWork.began, Telling.ask, Driver._waited

    def doomed_append(self, run, n, kind, **data):
        step = data.get("step")
        if kind in WRITTEN["before"]:
            doom.strike(step, "before")
        if kind in WRITTEN["after"]:
            doom.strike(step, "after")
        done = append(self, run, n, kind, **data)
        if kind in ANSWERS and done:
            doom.strike(step, "after")
        return done

    def doomed_began(self, step, attempt, process):
        began(self, step, attempt, process)
        doom.strike(step, "in")
        # Who watches over it goes first: it would say how the other ended.
        watching = [json.loads(path.read_text())["supervisor"] for path in self.folder.glob("*.process")]
        doom.strike(step, "dead", [*watching, process])

    def doomed_ask(self, state, asked):
        doom.strike(asked.step, "in")
        doom.strike(asked.step, "dead")
        return ask(self, state, asked)

    def doomed_waited(self, state, spec):
        call = self.bench.call

        class Once:
            def call(self, state, step, doing, **more):
                result = call(state, step, doing, **more)
                doom.strike(step, "in")
                doom.strike(step, "dead")
                return result

        real, self.bench = self.bench, Once()
        try:
            return waited(self, state, spec)
        finally:
            self.bench = real

    Records.append, AtWork.began, Telling.ask, Driver._waited = doomed_append, doomed_began, doomed_ask, doomed_waited


if __name__ == "__main__":
    plant(Doom(Path(sys.argv[1])))
    from holdfast.interfaces.cli.main import main

    sys.exit(main(sys.argv[2:]))
