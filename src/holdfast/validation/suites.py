"""The suites of expectations that a plan names: where they lie, whether they are suites, and their texts to travel with the plan."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.errors import HoldfastError
from holdfast.plan import Plan, Problem, beside
from holdfast.validation.expectations.errors import SuiteDamaged, SuiteMissing
from holdfast.validation.expectations.suite import parse, read_bytes, suites_in

MOST = 32 << 20
"""Bytes of all suites that travel into a vault together: its format allows 64 MiB, written as JSON once more."""


@dataclass(frozen=True, slots=True)
class Named:
    """``at``: where the plan names it; ``file``: here; ``place``: beside a plan that was brought elsewhere (see ``plan.beside``)."""

    at: tuple[str | int, ...]
    file: Path
    place: str


@dataclass(frozen=True, slots=True)
class Gathered:
    """``texts`` by place. ``lacking``: what the plan names and this machine cannot give, each in a sentence; ``too_many``:
    for their size.
    """

    texts: dict[str, str] = field(default_factory=dict)
    lacking: tuple[str, ...] = ()
    too_many: bool = False


def named(plan: Plan) -> Iterator[Named]:
    """Every file, once for each check or folder that names it. A folder without any stands for itself."""
    for name in plan.systems:
        spec = plan.effective(name).spec
        for index, check in enumerate(spec.checks):
            if check.suite is not None:
                yield Named(("systems", name, "checks", index, "suite"), plan.resolve(check.suite), beside(check.suite))
        folder = getattr(spec, "expectations", None)
        if folder is not None:
            top = plan.resolve(folder)
            found = [(file, f"{beside(folder)}/{table}.json") for table, file in suites_in(top)] or [(top, beside(folder))]
            for file, place in found:
                yield Named(("systems", name, "expectations"), file, place)


def lint(plan: Plan) -> list[Problem]:
    """Whether each is there (another machine may have it: a warning), is a suite (an error), and can travel into the vault."""
    found: dict[Problem, None] = {}
    for one in named(plan):
        mark, path = plan.place(one.at)
        try:
            data = read_bytes(one.file)
            parse(data, one.file.stem, str(one.file))
        except SuiteMissing as error:
            message = f"{error.message.rstrip('.')}: here its check would fail"
            found[Problem(mark, path, message, error.hint[:1].lower() + error.hint[1:], "warning")] = None
        except HoldfastError as error:
            found[Problem(mark, path, error.message.rstrip("."), error.hint[:1].lower() + error.hint[1:])] = None
        else:
            if _text(data) is None:
                found[
                    Problem(mark, path, f"{one.file} is not UTF-8: it does not travel into the vault", "write it as UTF-8", "warning")
                ] = None
    gathered = gather(plan)
    if gathered.too_many:
        mark, path = plan.place(("systems",))
        found[Problem(mark, path, gathered.lacking[0].rstrip("."), "make them smaller, or fewer", "warning")] = None
    return list(found)


def gather(plan: Plan) -> Gathered:
    """For the vault. What is no suite travels as it is; what cannot be read, or is no text, is told."""
    texts: dict[str, str] = {}
    lacking: list[str] = []
    size = 0
    for one in named(plan):
        try:
            data = read_bytes(one.file)
        except (SuiteMissing, SuiteDamaged) as error:
            lacking.append(error.message)
            continue
        text = _text(data)
        if text is None:
            lacking.append(f"The suite {one.file} is not UTF-8.")
            continue
        size += len(data) if one.place not in texts else 0
        if size > MOST:
            return Gathered(
                {}, (f"The plan's suites have more than {MOST >> 20} MiB: none of them travels into the vault.",), too_many=True
            )
        texts[one.place] = text
    return Gathered(texts, tuple(dict.fromkeys(lacking)))


def lost(gathered: Gathered) -> list[str]:
    """A sentence about what does not travel. A machine that has none of the suites is another's affair: who has them stores them."""
    if not gathered.lacking or not (gathered.texts or gathered.too_many):
        return []
    more = f" (and {len(gathered.lacking) - 1} more)" if len(gathered.lacking) > 1 else ""
    return [f"Not all of the plan's suites are in the vault from here: {gathered.lacking[0]}{more} See: holdfast plan lint"]


def _text(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None
