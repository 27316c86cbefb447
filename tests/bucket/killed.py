"""A backup or a restore in a process of its own, to be killed: VERB FOLDER URL ENDPOINT TARGET."""

import os
import sys
from pathlib import Path

from holdfast.connect.objects import Options
from tests.bucket.kit import Scene

if __name__ == "__main__":
    verb, folder, url, endpoint, target = sys.argv[1:]
    assert os.environ["AWS_ACCESS_KEY_ID"]
    scene = Scene(Path(folder), url, Options(endpoint=endpoint), create=False)
    if verb == "backup":
        scene.backup()
    else:
        scene.restore(target)
