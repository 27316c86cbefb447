"""One trial: a deed, and in the middle of it what somebody else does, whole or cut off. Told is what went wrong."""

import traceback
from dataclasses import dataclass

from holdfast.errors import HoldfastError
from tests.vault.races.meddling import Beside, Changes, Cutting, Meddler
from tests.vault.races.scene import DAY, Scene, plain, with_cut
from tests.vault.races.work import DEEDS, Deed, check, copies


@dataclass(frozen=True)
class Trial:
    """``at``: the number of the deed's call before which ``meanwhile`` happens; ``cut``: how many changes it makes until it dies (None:
    all); ``torn``: in the middle of that call, if it is a listing.
    """

    deed: Deed
    meanwhile: Deed
    at: int
    cut: int | None = None
    torn: bool = False

    def __str__(self) -> str:
        cut = "" if self.cut is None else f", cut off after {self.cut} changes"
        return f"{self.deed.__name__} / {self.meanwhile.__name__} {'in' if self.torn else 'before'} call {self.at}{cut}"


def calls_of(scene: Scene, deed: Deed) -> list[tuple[str, str]]:
    """What a deed asks of storages when nobody else is there."""
    scene.reset()
    meddler = Meddler()
    deed(scene, lambda storage: Beside(storage, meddler))
    return meddler.calls


def changes_of(scene: Scene, deed: Deed) -> int:
    scene.reset()
    changes = Changes()
    deed(scene, lambda storage: Cutting(storage, changes))
    return changes.seen


def run(scene: Scene, trial: Trial) -> str:
    """'' when all went well."""
    scene.reset()
    ends: list[BaseException] = []

    def act() -> None:
        try:
            with_cut(lambda wrap: trial.meanwhile(scene, wrap), Changes(trial.cut))
        except HoldfastError as error:
            # Somebody else's error is his own; he tries again.
            ends.append(error)

    meddler = Meddler(act, trial.at, torn=trial.torn)
    told = ""
    try:
        trial.deed(scene, lambda storage: Beside(storage, meddler))
    except DEEDS[trial.deed]:
        pass
    except Exception:  # noqa: BLE001 - told
        told = _told(meddler)
    if not told:
        try:
            scene.require_whole(scene.storages)
        except Exception:  # noqa: BLE001 - told
            told = "afterwards: " + _told(meddler)
    return f"{trial}: {told}" if told else ""


def settle(scene: Scene) -> str:
    """Everybody comes to an end, twice; then nothing is wrong in any location and nothing is left over."""
    try:
        for _ in range(2):
            scene.prune()
            copies(scene, plain)
            scene.pass_time(8 * DAY)
        scene.prune()
        check(scene, plain)
        scene.require_whole(scene.storages)
    except Exception:  # noqa: BLE001 - told
        return "settled: " + traceback.format_exc(limit=-6)
    return ""


def _told(meddler: Meddler) -> str:
    return f"{len(meddler.calls)} calls\n{traceback.format_exc(limit=-8)}"
