"""A point of files in portable form: what it holds as plain files, under the paths they had."""

from collections.abc import Sequence
from pathlib import Path

from holdfast.model import Clock, Progress, RecoveryPoint
from holdfast.systems.contract import Exported, History, RestoreRequest
from holdfast.systems.files.parts import Part
from holdfast.systems.files.recovery import FilesRecovery
from holdfast.systems.files.restore.writing import sync
from holdfast.systems.files.settings import inside


def export(point: RecoveryPoint, history: History, folder: Path, parts: Sequence[Part], *, clock: Clock, progress: Progress) -> Exported:
    """Write ``point`` into the new ``folder``; the README comes last, when everything is durable. Raises what a restore raises; without
    a README after RestoredPartly.
    """
    recovery = FilesRecovery(point.system, parts=parts, clock=clock)
    request = RestoreRequest(folder, {"kind": "point", "point": point.id})
    done = recovery.restore(history, recovery.plan_restore(history, request), progress)
    notes = "".join(f"\n- {note}" for note in done.notes)
    roots = "".join(f"\n    {folder.name}{root}    was {root}" for root in point.facts.get("roots", {}))
    text = (
        f"Recovery point {point.id} of {point.system}, taken {point.committed_at.isoformat()} on {point.host or 'an unknown host'}.\n\n"
        f"Folders lie under the paths they had:\n{roots or ' (none)'}\n\n"
        f"git/ holds bare repositories (git clone git/NAME.git), images/ an OCI layout (skopeo copy oci:images:NAME …).\n"
        f"Copy with owners, ACLs and attributes: cp -a, or rsync -aHAX --numeric-ids.\n{notes}"
    )
    readme = folder / ("README" if inside("/README") not in map(inside, point.facts.get("roots", {})) else "README.holdfast")
    with readme.open("x", encoding="utf-8", errors="surrogateescape") as file:
        file.write(text.rstrip() + "\n")
    sync(folder)
    return Exported(point.id, folder, done.extracted.files, done.extracted.written, notes=tuple(done.notes))
