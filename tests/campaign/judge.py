"""What stands in the locations against the ledger: everything listed is restored and compared, and nothing committed is missing."""

import secrets
from dataclasses import dataclass

from holdfast.vault import Vault
from holdfast.vault.errors import WrongKey
from holdfast.vault.format import names
from tests.campaign.content import everything, log_bytes
from tests.campaign.folders import FOLDER, tree_of
from tests.campaign.stage import BOTH, Stage
from tests.vault.kit import restore


@dataclass
class Judged:
    """``points`` restored and compared (once for each location that lists them), ``log`` bytes read and compared."""

    points: int = 0
    log: int = 0


def judge(stage: Stage, *, hurt: bool = False) -> Judged:
    """Raises AssertionError. ``hurt``: single locations were damaged on purpose, so only both together must give everything."""
    plain = stage.plainly()
    found = Judged()
    if plain.storage(BOTH[0]).head(names.CONFIG) is None:
        assert not stage.ledger.lines("committed"), "a vault that held points is gone"
        return found
    groups = [BOTH] if hurt else [(name,) for name in BOTH if plain.storage(name).head(names.CONFIG)]
    listed = {group: _points(plain, group, found) for group in groups}
    for group in groups:
        _logs(plain, group, found)
    if plain.storage("c").head(names.CONFIG) is not None:
        _points(plain, ("c",), found)
    for group in groups:
        must = set().union(*(stage.ledger.must_be_listed(name) for name in group))
        assert must <= listed[group], f"committed, and not listed in {group}: {must - listed[group]}"
        back = set.intersection(*(stage.ledger.must_be_gone(name) for name in group)) & listed[group]
        assert not back, f"removed, and listed again in {group}: {back}"
    _keys(stage, plain)
    return found


def _points(stage: Stage, group: tuple[str, ...], found: Judged) -> set[str]:
    with _open(stage, group) as vault:
        points = vault.points()
        assert not vault.damaged, f"{group}: {vault.damaged}"
        for number, point in enumerate(points):
            if point.system == FOLDER:
                seed = int(str(point.label).removeprefix("tree "))
                assert seed in {line["seed"] for line in stage.ledger.lines("meant")}
                wanted = tree_of(seed)
            else:
                system, seed = stage.ledger.content(point.facts["token"])
                assert point.system == system
                wanted = everything(seed)
            reader = vault.reader(point)
            if number % 2:
                got = restore(reader)
            else:
                got = {stored.entry.path: reader.read(stored) for stored in reader.entries() if stored.entry.kind == "file"}
            if point.system == FOLDER:
                got = {path.rpartition("/tree/")[2]: data for path, data in got.items() if path.rpartition("/")[2] != "second name"}
            assert got == wanted, f"{group}: {point.id} came back different: {_difference(got, wanted)}"
            found.points += 1
        return {point.id for point in points}


def _difference(got: dict[str, bytes], wanted: dict[str, bytes]) -> list[str]:
    return sorted(path for path in got.keys() | wanted.keys() if got.get(path) != wanted.get(path))


def _logs(stage: Stage, group: tuple[str, ...], found: Judged) -> None:
    starts = stage.ledger.log_starts()
    with _open(stage, group) as vault:
        for (system, branch), end in stage.ledger.log_ends().items():
            start = starts.get((system, branch), 0)
            got = b"".join(bytes(data) for _, data in vault.logs(system).reader(branch).stream(start, end))
            assert got == log_bytes(system, branch, start, end), f"{group}: the log {system}/{branch} came back different"
            found.log += len(got)


def _keys(stage: Stage, plain: Stage) -> None:
    for secret, state in stage.ledger.secrets().items():
        if state == "open":
            continue
        try:
            plain.open(secret=secret, cache="judging-keys").close()
            opened = True
        except WrongKey:
            opened = False
        assert opened == (state == "there"), f"the key {secret!r} should be {state}"


def _open(stage: Stage, group: tuple[str, ...]) -> Vault:
    return stage.open(group, cache=f"judging-{secrets.token_hex(4)}")
