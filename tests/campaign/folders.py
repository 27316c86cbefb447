"""Deeds on a real folder, by the system that protects files: backed up, and restored to where another process was killed at it."""

import os
from pathlib import Path

from holdfast.model import RecoveryPoint, Silent
from holdfast.systems.contract import RestoreRequest
from holdfast.systems.files.recovery import FilesRecovery
from holdfast.systems.files.settings import FilesSettings
from holdfast.systems.files.system import FilesSystem
from tests.campaign.content import files
from tests.campaign.stage import CLOCK, Stage
from tests.files.kit import Later, differences, picture

FOLDER = "folder"


def tree_of(seed: int) -> dict[str, bytes]:
    """Path below the folder → bytes."""
    return {f"part {seed % 2}/{path}": data for path, data in files(seed).items()} | {"same": b"in every one"}


def write_tree(stage: Stage, seed: int) -> Path:
    """The folder as it is at ``seed``; to be repeated at will."""
    top = stage.folder / "tree"
    wanted = tree_of(seed)
    for path, data in wanted.items():
        place = top / path
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists() or place.read_bytes() != data:
            place.write_bytes(data)
    if not (top / "link").is_symlink():
        (top / "link").symlink_to("same")
        os.link(top / "same", top / "second name")
    for place in sorted(top.rglob("*"), reverse=True):
        if place.is_file() and not place.is_symlink() and place.name != "second name" and str(place.relative_to(top)) not in wanted:
            place.unlink()
    return top


def back_up_folder(stage: Stage, seed: int = 22) -> None:
    top = write_tree(stage, seed)
    with stage.open() as vault:
        points = vault.points(FOLDER)
        with vault.begin(
            system=FOLDER, kind="files", base=vault.reader(points[-1]) if points else None, label=f"tree {seed}", workers=2
        ) as writer:
            stage.ledger.say("meant", seed=seed)
            point = FilesSystem(FOLDER, FilesSettings((str(top),)), clock=Later()).capture(writer, Silent())
        stage.said_committed(point.id, writer.lacking)


class _History:
    def __init__(self, vault) -> None:
        self.vault = vault

    def points(self) -> list[RecoveryPoint]:
        return self.vault.points(FOLDER)

    def open(self, point: str):
        return self.vault.point(point)


def restore_folder(stage: Stage) -> None:
    """Into the same place, whatever stands there by now."""
    into = stage.folder / "into"
    with stage.open() as vault:
        history = _History(vault)
        ways = FilesRecovery(FOLDER, FilesSettings(("/nowhere",)), clock=CLOCK, sandbox=stage.folder / "boxes", history=lambda: history)
        request = RestoreRequest(into, {"kind": "latest"}, {"delta": True} if into.exists() and any(into.iterdir()) else {})
        ways.restore(history, ways.plan_restore(history, request), Silent())


def restored_right(stage: Stage) -> None:
    """Entry by entry, with all that belongs to each."""
    found = next(place for place in (stage.folder / "into").rglob("same")).parent
    assert not differences(picture(stage.folder / "tree"), picture(found))
