"""Which process does a step, so that whoever takes a run up again can see whether it still does.

A step is at work while the process that was started for it lives. What that one started and left (a server, say) may go on: it would go on
too had nobody been killed.
"""

import contextlib
import json
import shutil
from pathlib import Path

from holdfast.runbooks.actions.kept import Keeper, Printed, machine
from holdfast.runbooks.actions.process import marked
from holdfast.state.process import birth


class AtWork:
    """One small file for each run, below the state. It tells of processes of this host, so it need not outlive a power cut."""

    def __init__(self, folder: Path, run: str) -> None:
        self._path = folder / "runbooks" / f"{run}.process"
        self._run = run
        self.folder = folder / "runbooks" / run
        """Of the files of ``kept.Keeper``."""

    def keeper(
        self, event: int, *, attach: bool = False, word: tuple[Path, float] | None = None, printed: Printed | None = None
    ) -> Keeper | None:
        """Of the doing that event ``event`` began. None where this machine cannot tell its processes apart: there nothing is kept."""
        return Keeper(self.folder, event, attach=attach, word=word, printed=printed) if machine() else None

    def left(self) -> list[int]:
        """Processes of the run's steps that live here, and those that watch over them."""
        names = [path.stem for path in self.folder.glob("*.process")]
        return [process for name in names if name.isdigit() for process in Keeper(self.folder, int(name)).processes()]

    def began(self, step: str, attempt: int, process: int) -> None:
        """Note it, at once."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        said = {"step": step, "attempt": attempt, "process": process, "born": birth(process)}
        new.write_text(json.dumps(said), encoding="utf-8")
        new.replace(self._path)

    def ended(self) -> None:
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def still(self, step: str, attempt: int) -> list[int]:
        """Processes that do this attempt of the step even now. Without a note of them (a kill between start and note), whatever carries the
        step's mark counts.
        """
        try:
            said = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            said = {}
        if (said.get("step"), said.get("attempt")) != (step, attempt):
            return marked(self._run, step)
        born = birth(said["process"])
        return [said["process"]] if born is not None and born == said["born"] else []
