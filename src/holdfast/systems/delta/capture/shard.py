"""What a process of a pool does for a capture of tables."""

from collections.abc import Mapping
from typing import Any

from holdfast.model import Progress
from holdfast.systems.contract import CaptureWriter
from holdfast.systems.delta.capture.copying import Copier
from holdfast.systems.delta.capture.pin import Wanted
from holdfast.systems.delta.capture.run import opener
from holdfast.systems.delta.settings import DeltaSettings


def store(settings: DeltaSettings, shard: Mapping[str, Any], writer: CaptureWriter, progress: Progress) -> dict[str, Any]:
    """The files of a shard. ``gone`` and ``broken`` (why, by path) as the driver's own copier would have found them."""
    lake = settings.open(settings.url)
    copier = Copier(lake, opener(settings, lake), writer, progress, lambda _: False)
    copier.copy(Wanted(**one) for one in shard["files"])
    broken = {path: why for path, (_, why) in copier.lost.broken.items()}
    return {"gone": [one.path for one in copier.lost.gone], "broken": broken, "fetched": copier.fetched}
