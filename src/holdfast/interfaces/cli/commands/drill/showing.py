"""How a drill is told: as it goes, and at its end."""

from typing import Any, Literal

from holdfast.drills.engine.drill import Finished
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.terminal.tables import Cell

STYLES = {"passed": "ok", "failed": "fail", "skipped": "warn"}


class Telling:
    """Satisfies ``drills.contract.Reporter``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def told(self, text: str) -> None:
        self._session.out.note(f"DRILL: {text}")

    def phase(self, name: str, state: Literal["begun", "ended"]) -> None:
        if state == "begun":
            self._session.out.note(f"DRILL: {name}")


def document(done: Finished, scenario: str) -> dict[str, Any]:
    """JSON-ready."""
    return {
        "run": done.run,
        "scenario": scenario,
        "drill": True,
        "outcome": done.outcome,
        "checks": [one.to_json() for one in done.checks],
        "clocks": {name: round(seconds, 3) for name, seconds in done.clocks.items()},
        "findings": [one.to_json() for one in done.findings],
        "torn_down": done.torn_down,
        "teardown": [dict(one) for one in done.teardown],
    }


def show(session: Session, done: Finished) -> None:
    out = session.out
    rows = [
        (Cell(one.state, STYLES[one.state]), one.system, one.kind, one.name, _text(one.expected), _text(one.actual), one.detail[:120])
        for one in done.checks
    ]
    out.table(("state", "system", "kind", "what", "expected", "actual", "detail"), rows, title=f"DRILL {done.run}: {done.outcome}")
    if done.clocks:
        out.say("clocks: " + ", ".join(f"{name} {seconds:.1f} s" for name, seconds in done.clocks.items()))
    for one in done.findings:
        out.say(f"finding {one.id} ({one.owner}, due {one.due.isoformat()}): {one.text}")
        out.say(f"  closed by: holdfast drill retest {one.id}")
    if not done.torn_down:
        out.warn("not everything could be undone; the next command tries again")
    out.say(f"report: holdfast report {done.run}")


def _text(value: Any) -> str:
    if isinstance(value, dict) and "hash" in value:
        return f"{value.get('rows', value.get('entries'))} {'rows' if 'rows' in value else 'entries'} {str(value['hash'])[:8]}"
    return "" if value is None else str(value)[:60]
