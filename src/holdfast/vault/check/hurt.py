"""Which points, systems and files a damaged pack hurts."""

from collections.abc import Iterable, Sequence

from holdfast.errors import Damaged, Unreachable
from holdfast.vault.check.report import Found
from holdfast.vault.errors import PointGone, RoleLacking
from holdfast.vault.format import names
from holdfast.vault.points.stored import read
from holdfast.vault.vault import Vault

MOST_FILES = 100


def name_files(vault: Vault, found: Sequence[Found]) -> None:
    """Fill ``files`` of findings about packs, point by point; reads the trees of the points that are hurt."""
    by_pack: dict[bytes, list[Found]] = {}
    for one in found:
        parsed = names.parse_pack(one.object)
        if parsed is not None and not one.healed and one.hurts:
            by_pack.setdefault(parsed[0], []).append(one)
    for point in sorted({point for some in by_pack.values() for one in some for point in one.hurts}):
        try:
            _files_of(vault, point, by_pack)
        except PointGone:
            continue
        except (Damaged, RoleLacking, Unreachable):
            # The tree itself is hurt, or may not be read with this key: then every file of the point is in doubt.
            for one in _about(by_pack.values(), point):
                one.files.setdefault(point, ["*"])


def _files_of(vault: Vault, point: str, by_pack: dict[bytes, list[Found]]) -> None:
    _, recovery_point, _ = read(vault.locations, vault.notary, f"{names.POINTS}{point}")
    if recovery_point is None:
        return
    tree = vault.reader(recovery_point).tree
    for document in tree.documents():
        used: set[bytes] = set()
        for part in tree.parts(document):
            used.update(part.packs)
        for pack in used & by_pack.keys():
            for one in by_pack[pack]:
                if point in one.hurts and len(one.files.setdefault(point, [])) < MOST_FILES:
                    one.files[point].append(document["p"])


def _about(groups: Iterable[Sequence[Found]], point: str) -> Iterable[Found]:
    return (one for group in groups for one in group if point in one.hurts)
