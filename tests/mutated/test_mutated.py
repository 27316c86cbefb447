"""Every backup in which something is wrong is caught, by the instrument that is there for it; no untouched one is accused.

A sample belongs to every run of the tests. ``make soak PYTEST_ARGS=tests/mutated`` runs 100 and 100: MUTATED_SEED (random, told).
"""

import collections
import contextlib
import os
import random
import shutil
import time
from collections.abc import Iterator

import pytest

from holdfast.recovery import Content
from holdfast.validation import Sampling
from tests.mutated.judge import Finding, judge
from tests.mutated.mutations import ALL, Mutation
from tests.mutated.stage import STAGES, Stage
from tests.servers import need

pytestmark = pytest.mark.postgres
COUNT = 100


@contextlib.contextmanager
def stages(folder, seed: int) -> Iterator[dict[str, Stage]]:
    made: dict[str, Stage] = {}
    folder.chmod(0o755)
    try:
        with need():
            for kind, stage in STAGES.items():
                made[kind] = stage(folder / kind, seed)
        for one in made.values():
            one.build()
        yield made
    finally:
        for one in made.values():
            one.close()


def mutate(stage: Stage, mutation: Mutation, seed: str) -> Finding:
    """Raises AssertionError where it is not caught, or by chance."""
    case = stage.copy(stage.folder / f"case-{seed}")
    try:
        found = mutation.run(case, random.Random(seed))
    finally:
        shutil.rmtree(case.folder)
    what = f"{stage.kind}: {mutation.name} (seed {seed})"
    assert found.by is not None, f"{what} was not caught; skipped: {found.skipped}"
    assert found.by in mutation.by, f"{what} was caught by {found.by}, not by {' or '.join(mutation.by)}: {found.said}"
    return found


def untouched(stage: Stage, number: int, seed: str) -> None:
    """Raises AssertionError where it is accused."""
    draw = random.Random(seed)
    case = stage.copy(stage.folder / f"case-{seed}")
    content = [Content(), Content(Sampling(0.95, 0.01)), Content(Sampling(draw.uniform(0.5, 0.999), draw.uniform(0.001, 0.2)))][number % 3]
    try:
        if stage.kind != "postgres" and number % 2:
            # Of the same source, another point: built on the last one or read anew.
            case.backup(full=draw.random() < 0.5)
        found = judge(case, content=content)
    finally:
        shutil.rmtree(case.folder)
    assert found.by is None, f"{stage.kind}, untouched (seed {seed}), is accused by {found.by}: {found.said}"
    assert found.verification is not None
    assert found.verification.report.verdict == "passed"
    # To have compared nothing would accuse nobody either.
    assert found.verification.compared.how == ("sample" if content.sampling else "exact"), found.verification.compared


def pairs(seed: int) -> list[tuple[str, Mutation]]:
    """All of them once, then at random."""
    draw = random.Random(seed)
    every = [(kind, mutation) for mutation in ALL for kind in mutation.kinds]
    draw.shuffle(every)
    return (every + draw.choices(every, k=COUNT))[: max(COUNT, len(every))]


@pytest.mark.timeout(900)
def test_a_sample_of_each_instrument(tmp_path):
    chosen = {
        "files": ("a byte flipped", "a vault of an earlier day presented as the present one", "a restored file's mode changed",
                  "a file's or object's content changed before it was sealed"),
        "bucket": ("two packs exchanged", "a restored object changed", "a file's or object's content changed before it was sealed"),
        "delta": ("an object truncated", "a table's value changed before it was sealed"),
        "postgres": ("a row's value changed before it was sealed", "a sequence's position lost",
                     "the newest increments of the log removed"),
    }  # fmt: skip
    by_name = {mutation.name: mutation for mutation in ALL}
    with stages(tmp_path, 3) as made:
        for kind, names in chosen.items():
            for name in names:
                mutate(made[kind], by_name[name], f"{name} 1")
            untouched(made[kind], 0, f"{kind} 1")


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_a_hundred_mutated_and_a_hundred_untouched(tmp_path):
    seed = int(os.environ.get("MUTATED_SEED") or random.SystemRandom().randrange(10**6))
    print(f"\nmutated backups: the same again: MUTATED_SEED={seed}", flush=True)
    began = time.monotonic()
    caught: collections.Counter[tuple[str, str]] = collections.Counter()
    kinds: collections.Counter[str] = collections.Counter()
    wrong: list[str] = []
    with stages(tmp_path, seed) as made:
        print(f"four systems with three points each after {time.monotonic() - began:.0f} s", flush=True)
        chosen = pairs(seed)
        for number, (kind, mutation) in enumerate(chosen):
            try:
                found = mutate(made[kind], mutation, f"{seed}-{number}")
                caught[mutation.name, str(found.by)] += 1
                kinds[kind] += 1
            except AssertionError as error:
                wrong.append(str(error))
                print(f"  {error}", flush=True)
        print(f"{len(chosen)} mutated after {time.monotonic() - began:.0f} s", flush=True)
        accused = []
        for number in range(COUNT):
            # PostgreSQL's turn takes longest, and varies least.
            kind = ("files", "bucket", "delta", "postgres", "files", "bucket", "delta")[number % 7]
            try:
                untouched(made[kind], number, f"{seed}-untouched-{number}")
            except AssertionError as error:
                accused.append(str(error))
                print(f"  {error}", flush=True)
    told = [f"{'what was wrong':<64} {'caught by':<18} times"]
    told += [f"{name:<64} {by:<18} {count:>5}" for (name, by), count in sorted(caught.items())]
    by_kind = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    told += [f"caught: {sum(caught.values())} of {len(chosen)} ({by_kind})", f"accused: {len(accused)} of {COUNT} untouched"]
    told += [f"{time.monotonic() - began:.0f} s"]
    print("\n".join(told), flush=True)
    assert not wrong
    assert not accused
