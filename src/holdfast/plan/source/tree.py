"""Values with their places: what YAML is read into before anything is checked."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from holdfast.plan.errors import Mark

Plain = str | int | float | bool | None
Path = tuple[str | int, ...]


@dataclass(slots=True)
class Scalar:
    value: Plain
    mark: Mark


@dataclass(slots=True)
class Items:
    values: "list[Tree]"
    mark: Mark


@dataclass(slots=True)
class Pair:
    """A value under its key; ``mark`` is the key's."""

    mark: Mark
    value: "Tree"


@dataclass(slots=True)
class Mapping:
    mark: Mark
    pairs: dict[str, Pair] = field(default_factory=dict)

    def get(self, *path: str) -> "Tree | None":
        """The value below these keys, None when there is none."""
        node: Tree | None = self
        for key in path:
            pair = node.pairs.get(key) if isinstance(node, Mapping) else None
            node = pair.value if pair else None
        return node


Tree = Scalar | Items | Mapping


def plain(tree: Tree) -> Any:
    """The values alone."""
    if isinstance(tree, Scalar):
        return tree.value
    if isinstance(tree, Items):
        return [plain(value) for value in tree.values]
    return {key: plain(pair.value) for key, pair in tree.pairs.items()}


def merge(first: Tree, later: Tree) -> Tree:
    """Mappings key by key; anything else is replaced by the later one."""
    if not (isinstance(first, Mapping) and isinstance(later, Mapping)):
        return later
    pairs = dict(first.pairs)
    for key, pair in later.pairs.items():
        pairs[key] = Pair(pair.mark, merge(pairs[key].value, pair.value)) if key in pairs else pair
    return Mapping(later.mark, pairs)


def beneath(defaults: Mapping, own: Mapping) -> Mapping:
    """``own`` with those keys of ``defaults`` that it lacks, each as a whole."""
    return Mapping(own.mark, {**own.pairs, **{key: pair for key, pair in defaults.pairs.items() if key not in own.pairs}})


def locate(tree: Tree, path: Path) -> tuple[Path, Mark, Mark, Tree]:
    """The deepest place that ``path`` reaches: (path so far, mark of its key, mark of its value, the value).

    Pieces that name nothing (a branch of a union, an index into what stands for a list of one) are passed over.
    """
    so_far: list[str | int] = []
    key_mark, node = tree.mark, tree
    for piece in path:
        if isinstance(node, Mapping) and isinstance(piece, str) and piece in node.pairs:
            pair = node.pairs[piece]
            key_mark, node = pair.mark, pair.value
        elif isinstance(node, Items) and isinstance(piece, int) and piece < len(node.values):
            node = node.values[piece]
            key_mark = node.mark
        else:
            continue
        so_far.append(piece)
    return tuple(so_far), key_mark, node.mark, node


def scalars(tree: Tree) -> Iterator[Scalar]:
    """Every scalar, depth first."""
    if isinstance(tree, Scalar):
        yield tree
    else:
        for child in tree.values if isinstance(tree, Items) else [pair.value for pair in tree.pairs.values()]:
            yield from scalars(child)


def dotted(path: Path) -> str:
    """``systems.orders-db.checks[0].sql``."""
    text = ""
    for piece in path:
        text += f"[{piece}]" if isinstance(piece, int) else f".{piece}" if text else piece
    return text
