"""What this host saw become durable of a system: the newest point of its backups, and where its follower was."""

from typing import TYPE_CHECKING

from holdfast.validation import Known, Stored

if TYPE_CHECKING:
    from holdfast.state import State


def known(state: "State", name: str) -> Known:
    """Nothing where the state was lost: then nobody can tell an older state of the vault by it."""
    done = [run for run in state.runs.recent(active=False, system=name, verb="backup") if run.outcome == "ok" and run.facts.get("point")]
    newest = max(done, key=lambda run: run.started, default=None)
    beats = state.heartbeats.newest(name)
    last = max(beats, key=lambda beat: beat.seen, default=None)
    logs = {}
    if last is not None:
        furthest = max((beat for beat in beats if beat.branch == last.branch), key=lambda beat: beat.position)
        logs[last.branch] = Stored(furthest.position, furthest.stored_at, furthest.position_text)
    return Known(str(newest.facts["point"]) if newest else None, newest.started if newest else None, logs)
