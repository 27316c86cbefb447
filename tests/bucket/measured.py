"""A backup of a simulated bucket in a process of its own, whose memory is then its own: FOLDER COUNT first|again. Prints JSON."""

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
    folder, count, again = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "again"
    store = Watched(count, frozenset(range(0, count, 1000)) if again else frozenset())
    options = Options(credentials={"access_key_id": "x", "secret_access_key": "y"})
    scene = Scene(folder, "s3://simulated", options, create=not again)
    scene.open = lambda _: store
    began, cpu = time.perf_counter(), time.process_time()
    point = scene.backup()
    told = {name: point.facts[name] for name in ("objects", "unread")}
    seconds = {"seconds": time.perf_counter() - began, "cpu": time.process_time() - cpu}
    print(json.dumps({**told, **seconds, "reads": store.reads, "most": Watched.most}))
