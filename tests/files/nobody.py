"""A deed on a scene as an ordinary account: nobody.py backup|restore FOLDER. Prints JSON.

A process of its own: a fork of one that has threads could wait for ever for a lock that one of them held.
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.files.kit import ROOT, Later, Scene


def backup(scene: Scene) -> dict[str, Any]:
    point = scene.backup()
    return {"findings": [[one.code, one.where["path"]] for one in point.findings], "facts": dict(point.facts)}


def restore(scene: Scene) -> dict[str, Any]:
    return {"notes": list(scene.restore(scene.folder / "out").notes)}


DEEDS = {"backup": backup, "restore": restore}


def main() -> None:
    what, folder = sys.argv[1:]
    with tempfile.TemporaryDirectory() as place:
        # Once before, so that every module is imported while this account may still read all of them.
        first = Scene(Path(place))
        (first.source / "file").write_bytes(b"x")
        backup(first)
        restore(first)
        first.close()
    os.chdir("/")
    if ROOT:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    scene = Scene.__new__(Scene)
    scene.reopen(Path(folder))
    scene.clock = Later()
    print(json.dumps(DEEDS[what](scene)))


if __name__ == "__main__":
    main()
