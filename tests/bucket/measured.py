"""Two backups of a simulated bucket in a process of its own, whose memory is then its own: FOLDER COUNT. Prints JSON."""

import json
import sys
import time
from pathlib import Path

from holdfast.connect.objects import Options
from tests.bucket.kit import Scene
from tests.bucket.simulated import Simulated


def anonymous() -> int:
    """Bytes of this process that no file backs."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) << 10
    raise AssertionError


class Watched(Simulated):
    """Looks at the memory while it lists."""

    most = 0

    def list(self, prefix="", after=""):
        for number, one in enumerate(super().list(prefix, after)):
            if number % 5000 == 0:
                Watched.most = max(Watched.most, anonymous())
            yield one


if __name__ == "__main__":
    folder, count = Path(sys.argv[1]), int(sys.argv[2])
    told = []
    store = Watched(count)
    scene = Scene(folder, "s3://simulated", Options(credentials={"access_key_id": "x", "secret_access_key": "y"}))
    for changed in (frozenset(), frozenset(range(0, count, 1000))):
        store = Watched(count, changed)
        scene.open = lambda url, store=store: store
        began = time.perf_counter()
        point = scene.backup()
        told.append(
            {
                "objects": point.facts["objects"],
                "unread": point.facts["unread"],
                "reads": store.reads,
                "seconds": time.perf_counter() - began,
                "most": Watched.most,
            }
        )
    print(json.dumps(told))
