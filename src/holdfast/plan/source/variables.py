"""``${name}`` anywhere in keys and values. ``$${name}`` stays ``${name}``."""

import re
from collections.abc import Mapping as AnyMapping

from holdfast.plan.errors import Problem, did_you_mean
from holdfast.plan.source.tree import Items, Mapping, Pair, Plain, Scalar, Tree, dotted

_REFERENCE = re.compile(r"(\$?)\$\{([^{}]*)\}")


class Variables:
    """Values by name. A value may refer to others, not to itself by any way."""

    def __init__(self, values: AnyMapping[str, Plain]) -> None:
        self.values = dict(values)
        self.problems: list[Problem] = []

    def fill(self, tree: Tree, path: tuple[str | int, ...] = ()) -> Tree:
        """A copy with every reference replaced. A scalar that is one reference and nothing else takes the variable's type."""
        if isinstance(tree, Scalar):
            return Scalar(self._scalar(tree, path), tree.mark) if isinstance(tree.value, str) and "${" in tree.value else tree
        if isinstance(tree, Items):
            return Items([self.fill(value, (*path, index)) for index, value in enumerate(tree.values)], tree.mark)
        filled = Mapping(tree.mark)
        for key, pair in tree.pairs.items():
            name = str(self._scalar(Scalar(key, pair.mark), path)) if "${" in key else key
            if name in filled.pairs:
                self.problems.append(
                    Problem(pair.mark, dotted((*path, name)), f"'{key}' becomes '{name}', which is there already", "choose another name")
                )
            filled.pairs[name] = Pair(pair.mark, self.fill(pair.value, (*path, name)))
        return filled

    def _scalar(self, scalar: Scalar, path: tuple[str | int, ...]) -> Plain:
        text = str(scalar.value)
        whole = _REFERENCE.fullmatch(text)
        if whole and not whole[1]:
            return self._look_up(whole[2], scalar, path, ())
        return self._expand(text, scalar, path, ())

    def _expand(self, text: str, scalar: Scalar, path: tuple[str | int, ...], asking: tuple[str, ...]) -> str:
        def replace(match: "re.Match[str]") -> str:
            if match[1]:
                return match[0][1:]
            value = self._look_up(match[2], scalar, path, asking)
            return str(value).lower() if isinstance(value, bool) else str(value)

        return _REFERENCE.sub(replace, text)

    def _look_up(self, name: str, scalar: Scalar, path: tuple[str | int, ...], asking: tuple[str, ...]) -> Plain:
        if name in asking:
            chain = " → ".join([*asking, name])
            self.problems.append(
                Problem(scalar.mark, dotted(path), f"the variable '{name}' refers to itself: {chain}", "give one of them a plain value")
            )
            return ""
        if name not in self.values:
            hint = did_you_mean(name, self.values) if self.values else f"add it under vars:, or give --set {name}=VALUE"
            self.problems.append(Problem(scalar.mark, dotted(path), f"there is no variable '{name}'", hint))
            return ""
        value = self.values[name]
        if isinstance(value, str) and "${" in value:
            whole = _REFERENCE.fullmatch(value)
            if whole and not whole[1]:
                return self._look_up(whole[2], scalar, path, (*asking, name))
            return self._expand(value, scalar, path, (*asking, name))
        return value
