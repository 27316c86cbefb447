"""Plans a campaign, has it carried out by several zygotes at once, and judges what they say."""

import contextlib
import itertools
import json
import os
import queue
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.campaign import faults, power
from tests.campaign.deeds import DEEDS
from tests.campaign.fulldisk import REAL
from tests.campaign.tally import Tally

ROOT = Path(__file__).parents[2]
MOST_WRONG = 5
_numbers = itertools.count()


class Zygotes:
    """``count`` of them; ``call`` waits for a free one."""

    def __init__(self, count: int, log: Path) -> None:
        self.free: queue.Queue[subprocess.Popen[str]] = queue.Queue()
        self.log = log.open("ab")
        self.all = [self._start() for _ in range(count)]
        for one in self.all:
            self.free.put(one)

    def _start(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "tests.campaign.zygote"],
            cwd=ROOT,
            # Threads that a mathematics library starts at import would forbid to fork.
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'src'}"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )

    def call(self, order: Mapping[str, Any]) -> dict[str, Any]:
        one = self.free.get()
        try:
            assert one.stdin is not None
            assert one.stdout is not None
            one.stdin.write(json.dumps(order) + "\n")
            one.stdin.flush()
            answer = one.stdout.readline()
            assert answer, f"a zygote ended; see {self.log.name}"
            return dict(json.loads(answer))
        finally:
            self.free.put(one)

    def close(self) -> None:
        for one in self.all:
            assert one.stdin is not None
            assert one.stdout is not None
            one.stdin.close()
            one.wait(60)
            one.stdout.close()
        self.log.close()


class Campaign:
    """``sample``: one point of each kind is tried. ``more``: how often a survivor goes on with a prune and a backup."""

    def __init__(self, folder: Path, seed: int, *, workers: int = 2, sample: bool = False, more: float = 0.3) -> None:
        self.folder, self.seed, self.sample, self.more = folder, seed, sample, more
        self.turn = 0
        self.random = random.Random(seed)
        self.tally = Tally()
        self.workers = workers
        self.zygotes = Zygotes(workers, folder / "zygotes.log")
        self.templates: dict[str, Path] = {}

    def template(self, deed: str) -> Path:
        """Deeds that begin from the same state share it."""
        begin = DEEDS[deed].begin.__name__
        if begin not in self.templates:
            place = self.folder / f"template-{begin}"
            made = self.zygotes.call({"act": "make", "deed": deed, "stage": {"folder": str(place), "bucket": None}})
            assert "wrong" not in made, made
            self.templates[begin] = place
        return self.templates[begin]

    def order(
        self, deed: str, how: str, at: int, *, early: bool = True, bucket: Mapping[str, str] | None = None, **more: Any
    ) -> dict[str, Any]:
        return {
            "deed": deed,
            "how": how,
            "at": at,
            "early": early,
            "seed": self.seed,
            "more": self.more,
            "template": str(self.template(deed)),
            "stage": self.stage(bucket),
            **more,
        }

    def stage(self, bucket: Mapping[str, str] | None) -> dict[str, Any]:
        """One that nothing has been put into: a folder of its own, and a prefix of its own in the bucket."""
        number = next(_numbers)
        return {"folder": str(self.folder / f"stage-{number}"), "bucket": {**bucket, "prefix": f"{number}"} if bucket else None}

    def count(self, deed: str, what: str, bucket: Mapping[str, str] | None = None) -> list[str]:
        """The calls that a deed makes, in order: "storage" calls, calls below a folder ("files"), or points of a power cut ("power")."""
        result = self.zygotes.call(self.order(deed, "count", 0, what=what, bucket=bucket))
        assert result.get("done"), result
        calls: list[str] = result["calls"]
        assert calls
        return calls

    def some(self, count: int, share: float) -> Sequence[int]:
        """Numbers from 1 to ``count``, evenly chosen, beginning somewhere; just one in a sample."""
        if count < 1:
            return ()
        if self.sample:
            return (1 + self.random.randrange(count),)
        step = max(1, round(1 / share))
        return range(1 + self.random.randrange(min(step, count)), count + 1, step)

    def turns(self, kinds: Sequence[str], sampled: int) -> Sequence[str]:
        """All kinds; in a sample those whose turn it is."""
        if not self.sample:
            return kinds
        first = self.turn
        self.turn += sampled
        return [kinds[at % len(kinds)] for at in range(first, first + sampled)]

    def kills(self, deed: str, share: float = 1.0, *, bucket: Mapping[str, str] | None = None) -> Iterator[dict[str, Any]]:
        """Before and behind storage calls."""
        for at in self.some(len(self.count(deed, "storage", bucket)), share):
            for early in (True, False):
                yield self.order(deed, "kill", at, early=early, bucket=bucket)

    def kills_below(self, deed: str, share: float = 1.0) -> Iterator[dict[str, Any]]:
        """Before and behind calls that change the file system."""
        if not DEEDS[deed].fills:
            return
        for at in self.some(len(self.count(deed, "files")), share):
            for early in (True, False):
                yield self.order(deed, "kill below", at, early=early)

    def cuts(self, deed: str, share: float = 1.0) -> Iterator[dict[str, Any]]:
        """Power fails behind such calls, and when all is done."""
        if not DEEDS[deed].fills:
            return
        for at in self.some(len(self.count(deed, "power")), share):
            yield self.order(deed, power.KINDS[at % 3], at, early=False)
        for kind in self.turns(power.KINDS, 1):
            yield self.order(deed, kind, power.AT_THE_END, early=False)

    def faults(self, deed: str, share: float = 1.0) -> Iterator[dict[str, Any]]:
        calls = self.count(deed, "storage")
        last = dict.fromkeys(faults.KINDS, len(calls))
        last["full disk"] = sum(call.startswith("put ") for call in calls)
        last["lost answers, repeated"] -= 3
        for kind in self.turns(faults.KINDS, 3):
            if kind == "listing that lags":
                if DEEDS[deed].lists:
                    yield from (self.order(deed, kind, shown) for shown in (1, 3))
                continue
            for at in self.some(last[kind], share):
                if kind != faults.ONE_GONE or at <= sum(call.endswith(f" {faults.gone_at(at)}") for call in calls):
                    yield self.order(deed, kind, at)

    def full_disks(self, deed: str, share: float = 1.0) -> Iterator[dict[str, Any]]:
        """A real file system with room for some pages more than there are: each object needs one at least."""
        puts = sum(call.startswith("put ") and call.endswith(f" {DEEDS[deed].fills}") for call in self.count(deed, "storage"))
        if not DEEDS[deed].fills:
            return
        for pages in self.some(1 if DEEDS[deed].frees else puts, share):
            yield self.order(deed, REAL, pages)

    def flip(self, step: int, deep: int) -> None:
        """Every ``step``-th byte of a small vault, in shares; each ``deep``-th of them meets a whole reading too."""
        template = self.folder / "template-small"
        made = self.zygotes.call({"act": "make_small", "stage": {"folder": str(template), "bucket": None}})
        assert "wrong" not in made, made
        parts = self.workers
        first = self.random.randrange(step)
        orders = [
            {"act": "flips", "template": str(template), "folder": str(self.folder), "seed": self.seed, "step": step * parts, "deep": deep}
            | {"first": first + step * part}
            for part in range(parts)
        ]
        with ThreadPoolExecutor(parts) as pool:
            for order, result in zip(orders, pool.map(self.zygotes.call, orders), strict=True):
                self.tally.flips.update(result.get("counts", {}))
                if "wrong" in result:
                    self.tally.wrong.append(f"{json.dumps(order)}\n{result.get('failed')}")

    def carry_out(self, orders: Iterator[dict[str, Any]]) -> None:
        """All of them, on every zygote; stops after some that went wrong."""
        waiting = threading_safe(orders)

        def work(_: int) -> None:
            for order in waiting:
                if len(self.tally.wrong) >= MOST_WRONG:
                    return
                self.one(order)

        with ThreadPoolExecutor(self.workers) as pool:
            list(pool.map(work, range(self.workers)))

    def one(self, order: dict[str, Any]) -> None:
        for earlier in (0, 1, 4, 10):
            # The order of threads' calls differs from run to run, and with it, by one or two, their number: the last may not come.
            order["at"] = max(1, order["at"] - earlier)
            if earlier:
                # A prefix that the deed went through whole is not begun on again: no clone goes over what another try left.
                order["stage"] = self.stage(order["stage"]["bucket"])
            result = self.zygotes.call(order)
            if result.get("fired") or "wrong" in result or order["how"] == "nothing":
                break
        else:
            result["wrong"] = "what was planned did not fire"
        self.tally.add(order, result)
        if "wrong" in result:
            with self.tally.lock:
                self.tally.wrong.append(
                    f"{result['wrong']}: {json.dumps(order)}\n{json.dumps(result, indent=1)}\n{result.get('failed', '')}"
                )

    def close(self) -> None:
        self.zygotes.close()

    def verdict(self) -> None:
        assert not self.tally.wrong, "\n\n".join(self.tally.wrong)


class threading_safe:  # noqa: N801
    """An iterator that several threads may share."""

    def __init__(self, inner: Iterator[Any]) -> None:
        import threading

        self.inner, self.lock = inner, threading.Lock()

    def __iter__(self) -> "threading_safe":
        return self

    def __next__(self) -> Any:
        with self.lock:
            return next(self.inner)


@contextlib.contextmanager
def campaign(seed: int, **options: Any) -> Iterator[Campaign]:
    """In a folder of its own, in memory where the machine has it: what SIGKILL spares does not depend on the disk."""
    shm = Path("/dev/shm")
    with tempfile.TemporaryDirectory(
        prefix="holdfast-campaign-", dir=shm if os.access(shm, os.W_OK) else None, ignore_cleanup_errors=True
    ) as folder:
        began = time.monotonic()
        made = Campaign(Path(folder), seed, **options)
        try:
            yield made
        finally:
            made.close()
            print(f"\nfault campaign: seed {seed}, {time.monotonic() - began:.0f} s\n{made.tally.show()}", flush=True)
