"""A point of Delta tables in portable form: the tables themselves, which every Delta reader opens."""

from pathlib import Path

from holdfast.model import Progress, RecoveryPoint
from holdfast.systems.contract import Exported, History, RestoreRequest
from holdfast.systems.delta.errors import TargetTaken
from holdfast.systems.delta.recovery import DeltaRecovery


def export(point: RecoveryPoint, history: History, folder: Path, recovery: DeltaRecovery, progress: Progress) -> Exported:
    """Write ``point`` into the new ``folder``; the README comes last, when everything is durable. Raises what a restore raises."""
    if folder.exists() and any(folder.iterdir()):
        raise TargetTaken(f"{folder} is not empty.", hint="Name a new folder.")
    plan = recovery.plan_restore(history, RestoreRequest(folder, {"kind": "point", "point": point.id}))
    done = recovery.restore(history, plan, progress)
    tables = "".join(
        f"\n    {name or '.'}    version {told['version']} of {told['time'] or 'an unknown time'}, table id {told['id']}"
        for name, told in sorted((point.facts.get("tables") or {}).items())
    )
    known = (point.facts.get("streams") or {}).items()
    streams = "".join(f"\n    {name}    query {told['id']}, batch {told['batch']}" for name, told in known)
    text = (
        f"Recovery point {point.id} of {point.system}, taken {point.committed_at.isoformat()} from {point.facts.get('url')}.\n\n"
        f"Delta tables, each in its folder:\n{tables}\n"
        + (f"\nCheckpoints of streams, cut to these versions:\n{streams}\n" if streams else "")
        + "\nAny reader of Delta Lake opens them where they lie, for example: DeltaTable('FOLDER/TABLE') of the package deltalake, or\n"
        "spark.read.format('delta').load('FOLDER/TABLE'). They can be copied anywhere as long as nobody writes to them.\n"
    )
    with (folder / "README").open("x", encoding="utf-8") as file:
        file.write(text)
    recovery.settings.open(str(folder)).settle()
    return Exported(point.id, folder, done.extracted.files, done.extracted.written, notes=done.notes)
