"""Other people's command-line programs, as actions use them: an argv without a shell, in the time that is left."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.errors import Unreachable
from holdfast.runbooks.actions import process
from holdfast.runbooks.actions.contract import Call, Result
from holdfast.runbooks.actions.output import Kept, Redactor, kept
from holdfast.runbooks.format.insert import as_text, insert


class ProgramFailed(Unreachable):
    """A program that a step works with could not be started, or did not do what it was asked."""

    code = "program-failed"

    def __init__(self, message: str, *, late: bool = False, torn: bool = False) -> None:
        super().__init__(message, hint="See what it printed, in the run's history.")
        self.late = late
        self.torn = torn


@dataclass
class Programs:
    """One doing's calls of one program. ``streams``: what the last that was kept printed."""

    program: str
    call: Call
    directory: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    streams: dict[str, Kept] = field(default_factory=dict)
    hidden: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._deadline = self.call.clock.monotonic() + self.call.timeout

    @property
    def left(self) -> float:
        """Seconds."""
        return self._deadline - self.call.clock.monotonic()

    def run(self, *words: str, quiet: bool = False, codes: Sequence[int] = (0,), changes: bool = False) -> process.Ended:
        """Raises ProgramFailed for another status than ``codes``, with the end of what it printed as errors.

        ``quiet``: what it prints is read, and not kept. ``changes``: it is what this doing changes, see ``Call.keeper``.
        """
        if self.left <= 0:
            raise ProgramFailed("the time is over", late=True)
        environment = {**self.call.environment, **self.environment}
        if shutil.which(self.program, path=environment.get("PATH")) is None:
            raise ProgramFailed(f"{self.program} is not on the PATH")
        secrets = [*self.call.secrets, *self.hidden]
        try:
            ended = ((self.call.keeper if changes else None) or process).run(
                [self.program, *words],
                environment=environment,
                directory=self.directory,
                timeout=self.left,
                clock=self.call.clock,
                secrets=secrets,
                began=self.call.began,
            )
        except (OSError, ValueError) as error:
            raise ProgramFailed(f"{self.program} cannot be started: {getattr(error, 'strerror', None) or error}") from None
        if not quiet or ended.code not in codes:
            self.streams = {"out": ended.out, "err": ended.err}
        if ended.torn:
            raise ProgramFailed(ended.torn, torn=True)
        if ended.late:
            raise ProgramFailed(f"{self.program} {words[0]} did not end in time and was stopped", late=True)
        if ended.code not in codes:
            said = [line.strip(" │\t") for line in (ended.err.text or ended.out.text).splitlines() if line.strip(" │╷╵\t")]
            first = next((number for number, line in enumerate(said) if line.lower().startswith("error")), max(0, len(said) - 6))
            raise ProgramFailed(f"{self.program} ended with status {ended.code}: {' / '.join(said[first : first + 12])}"[:1500])
        return ended

    def result(
        self, document: Any, *, answer: bool | None = True, failed: str = "", text: str | None = None, outcome: str = "failed"
    ) -> Result:
        streams = self.streams or {"out": kept(json.dumps(document, default=str), [*self.call.secrets, *self.hidden])}
        clean = Redactor([*self.call.secrets, *self.hidden])
        how: Any = outcome if failed else "ok"
        return Result(how, answer, clean.text(failed), streams, clean.value(document), None if text is None else clean.text(text))

    def failure(self, error: ProgramFailed) -> Result:
        message = Redactor([*self.call.secrets, *self.hidden]).text(error.message)
        return Result("timeout" if error.late else "interrupted" if error.torn else "failed", None, message, self.streams)


def filled(spec: Mapping[str, Any], key: str, call: Call, default: str = "") -> str:
    """The text of a key with values. Raises ProgramFailed for what would be read as an option."""
    text = as_text(insert(spec[key], call.values)) if spec.get(key) is not None else default
    if text.startswith("-") or "\0" in text:
        raise ProgramFailed(f"{key} is '{text}', which would be read as an option")
    return text
