"""The plan's checks, run on a copy that is only read."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.model import Clock, SystemClock
from holdfast.systems.contract import Isolated
from holdfast.validation.answers import answer, plain, same
from holdfast.validation.results import Result, State


@dataclass(frozen=True, slots=True)
class Check:
    """One question and how its answer is judged. ``compare``: with the source's answer; else with ``expect``. ``timeout`` in seconds.

    ``command`` is run by the shell with ``HOLDFAST_CONNECTION`` and ``HOLDFAST_DATABASE`` set; it must exit with 0, and its
    output is the answer. ``suite``: a file of Great Expectations, judged on ``table``; ``expect`` is [] then: nothing that does not hold.
    """

    name: str
    sql: str | None = None
    command: str | None = None
    database: str | None = None
    expect: Any = None
    compare: bool = False
    on: str | None = None
    timeout: float | None = None
    suite: Path | None = None
    table: str = ""


def ask(
    view: Isolated,
    check: Check,
    *,
    environ: Mapping[str, str] | None = None,
    began: Callable[["subprocess.Popen[str]"], None] = lambda _process: None,
) -> Any:
    """The answer; of a suite, what does not hold. Raises the system's own error, or the command's failure as FoundWrong.

    ``environ``: what a command inherits, None for all of this process's; ``began`` hears of its process, which leads a group of its own.
    """
    if check.suite is not None:
        return [f"{one.name}: {one.detail or one.actual}" for one in _suite(check, view, SystemClock()) if one.state != "passed"]
    if check.sql is not None:
        return answer(view.query(check.sql, database=check.database, timeout=check.timeout))
    return _run(view, check, os.environ if environ is None else environ, began)


def _suite(check: Check, view: Isolated, clock: Clock) -> list[Result]:
    from holdfast.validation import expectations

    assert check.suite is not None
    suite = expectations.read(check.suite)
    return expectations.outcomes(suite, view, check.table, clock, name=check.name, database=check.database, timeout=check.timeout)


def _run(view: Isolated, check: Check, environ: Mapping[str, str], began: Callable[["subprocess.Popen[str]"], None]) -> Any:
    from holdfast.errors import FoundWrong

    environment = {**environ, "HOLDFAST_CONNECTION": view.connection, "HOLDFAST_DATABASE": check.database or ""}
    # The plan's own words: whoever writes the plan decides what is run. In a session of its own, so that a timeout ends all of it.
    with subprocess.Popen(
        ["/bin/sh", "-c", check.command or ""],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as started:
        try:
            began(started)
            said, complained = started.communicate(timeout=check.timeout)
        except subprocess.TimeoutExpired as error:
            raise FoundWrong(f"The command took longer than {check.timeout:g} s.", hint="Give the check a longer timeout.") from error
        finally:
            # Whatever it left in the background ends with it.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
    if started.returncode:
        raise FoundWrong(f"The command ended with status {started.returncode}: {(complained or said).strip()[-500:]}")
    return said.strip()


def run(checks: Sequence[Check], view: Isolated, sources: Mapping[str, Any], clock: Clock, moved: str = "") -> list[Result]:
    """Every check on ``view``. ``sources``: the source's answers by check name, as of the moment that the copy stands at.

    A check to compare without a source's answer is skipped, with the reason in ``moved``. One whose query returned no row compared
    nothing: it fails, unless an empty answer is what the plan expects. So does one of which both sides say nothing but NULL, or print
    nothing.
    """
    found = []
    for check in checks:
        began = clock.monotonic()
        if check.compare and check.name not in sources:
            found.append(Result(check.name, "check", "skipped", detail=moved or "the source gave no answer to compare with"))
            continue
        if check.suite is not None:
            try:
                found += _suite(check, view, clock)
            except HoldfastError as error:
                detail = f"{error.message} {error.hint}".strip()
                found.append(Result(check.name, "expectation", "failed", None, None, detail, clock.monotonic() - began))
            continue
        expected = plain(sources[check.name] if check.compare else check.expect)
        try:
            actual = ask(view, check)
        except HoldfastError as error:
            found.append(Result(check.name, "check", "failed", expected, None, error.message, clock.monotonic() - began))
            continue
        state: State = "passed" if same(expected, actual) else "failed"
        detail = ""
        if actual == [] and (expected != [] or check.compare):
            state, detail = "failed", "the query returned no row" + (" on either side: nothing was compared" if expected == [] else "")
        elif check.compare and state == "passed" and _nothing(actual):
            state, detail = "failed", "neither side gave a value: nothing was compared"
        found.append(Result(check.name, "check", state, expected, actual, detail, clock.monotonic() - began))
    return found


def _nothing(answered: Any) -> bool:
    if isinstance(answered, list):
        return all(_nothing(one) for one in answered)
    return answered is None or answered == ""
