"""A process that has imported everything and has one thread: it forks each victim and each survivor. Orders in, results out, JSON lines."""

import faulthandler
import gc
import json
import os
import select
import shutil
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

# What is imported here need not be imported by every child.
import holdfast.storage.objects.store
import holdfast.vault.capture.writer
import holdfast.vault.restore.reader  # noqa: F401
from tests.campaign.acts import ACTS
from tests.campaign.deeds import DEEDS
from tests.campaign.fulldisk import REAL, unmount

SECONDS = 120.0
"""Longer than any deed takes on a loaded machine: whoever takes longer hangs."""


def child(act: str, order: dict[str, Any], seconds: float = SECONDS) -> tuple[int, dict[str, Any]]:
    """Run one act in a process of its own: (its exit status, or minus the signal that ended it; what it reported, the last word counts)."""
    tasks = len(list(Path("/proc/self/task").iterdir()))
    assert tasks == 1, f"a process with {tasks} threads must not fork"
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        _be(act, order, writing)
    os.close(writing)
    said, hung = _listen(reading, pid, seconds)
    os.close(reading)
    _, status = os.waitpid(pid, 0)
    facts: dict[str, Any] = {"fired": []}
    for line in said.splitlines():
        one = json.loads(line)
        if "fired" in one:
            facts["fired"].append(one.pop("fired"))
        facts |= one
    if hung:
        facts["hung"] = True
    return os.waitstatus_to_exitcode(status), facts


def _be(act: str, order: dict[str, Any], pipe: int) -> None:
    """Never returns."""
    code = 1

    def report(**facts: Any) -> None:
        os.write(pipe, json.dumps(facts).encode() + b"\n")

    try:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        faulthandler.dump_traceback_later(SECONDS - 5)
        ACTS[act](order, report)
        code = 0
    except BaseException:  # noqa: BLE001 - told by the parent
        report(failed=traceback.format_exc()[-6000:])
    finally:
        os._exit(code)


def _listen(reading: int, pid: int, seconds: float) -> tuple[str, bool]:
    pieces = []
    end = time.monotonic() + seconds
    while True:
        ready, _, _ = select.select([reading], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            os.kill(pid, signal.SIGKILL)
            return b"".join(pieces).decode(), True
        piece = os.read(reading, 65536)
        if not piece:
            return b"".join(pieces).decode(), False
        pieces.append(piece)


def carry_out(order: dict[str, Any]) -> dict[str, Any]:
    """One order from clone to judgement. ``wrong`` says what failed; then the folder stays for whoever looks."""
    if "act" in order:
        status, facts = child(order["act"], order, 1800.0)
        return facts | ({"wrong": f"{order['act']} failed"} if status else {})
    folder = Path(order["stage"]["folder"])
    try:
        return _kill_and_judge(order, folder)
    finally:
        if order["how"] == REAL:
            unmount(folder / DEEDS[order["deed"]].fills)
            shutil.rmtree(folder, ignore_errors=True)


def _kill_and_judge(order: dict[str, Any], folder: Path) -> dict[str, Any]:
    shutil.rmtree(folder, ignore_errors=True)
    status, facts = child("clone", order)
    if status:
        return facts | {"wrong": "no clone"}
    status, facts = child("victim", order)
    result = facts | {"killed": status == -signal.SIGKILL and not facts.get("hung")}
    if facts.get("hung"):
        return result | {"wrong": "the victim hung"}
    if status not in (0, -signal.SIGKILL):
        return result | {"wrong": "the victim failed by a bug"}
    if order["how"] == "count":
        shutil.rmtree(folder)
        return result
    status, facts = child("survivor", order)
    result |= {"points": facts.get("points", 0), "log": facts.get("log", 0)}
    if status:
        return result | {"wrong": f"{'hung' if facts.get('hung') else 'failed'} at {facts.get('doing')}", "failed": facts.get("failed", "")}
    shutil.rmtree(folder, ignore_errors=order["how"] == REAL)
    return result


def main() -> None:
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        print(json.dumps(carry_out(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
