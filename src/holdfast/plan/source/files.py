"""The plan's files: the named one and what it includes, merged. Included files come first, in order, globs sorted; later ones win; the
including file wins over all that it includes.
"""

import glob
import os
from collections.abc import Mapping as AnyMapping
from pathlib import Path

from holdfast.plan.errors import Mark, PlanMissing, Problem
from holdfast.plan.source.reader import read
from holdfast.plan.source.tree import Items, Mapping, Plain, Scalar, merge
from holdfast.plan.source.variables import Variables

_MAGIC = "*?["


class Files:
    """Reads and merges; gathers ``problems`` and the ``paths`` read, in order."""

    def __init__(self, settings: AnyMapping[str, Plain]) -> None:
        self.settings = dict(settings)
        self.problems: list[Problem] = []
        self.paths: list[Path] = []

    def load(self, path: Path) -> Mapping:
        """The merged tree of ``path``. Raises PlanMissing when it cannot be read; included files that cannot are problems."""
        try:
            text = path.read_text(encoding="utf-8")
        except FileNotFoundError as error:
            raise PlanMissing(f"There is no plan at {path}.", hint="Write one with: holdfast init; or name it: --plan FILE") from error
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise PlanMissing(
                f"The plan at {path} cannot be read: {reason}.", hint="Check its permissions, or name another: --plan FILE"
            ) from error
        return self._merged(path, text, {}, ())

    def _merged(self, path: Path, text: str, variables: dict[str, Plain], above: tuple[Path, ...]) -> Mapping:
        own, problems = read(text, shown(path))
        self.problems += problems
        given = own.get("vars")
        if isinstance(given, Mapping):
            variables = {**variables, **{key: pair.value.value for key, pair in given.pairs.items() if isinstance(pair.value, Scalar)}}
        merged = Mapping(own.mark)
        for scalar in self._includes(own, {**variables, **self.settings}):
            for found in self._matches(path, scalar):
                merged = self._add(merged, found, scalar.mark, variables, (*above, path.resolve()))
        self.paths.append(path)
        result = merge(merged, own)
        assert isinstance(result, Mapping)
        return result

    def _add(self, merged: Mapping, found: Path, mark: Mark, variables: dict[str, Plain], above: tuple[Path, ...]) -> Mapping:
        if found.resolve() in above:
            chain = " → ".join(shown(step) for step in (*above[above.index(found.resolve()) :], found))
            self.problems.append(Problem(mark, "include", f"a file includes itself: {chain}", "take this include out"))
            return merged
        try:
            text = found.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = (error.strerror or "it cannot be read") if isinstance(error, OSError) else "it is not UTF-8 text"
            self.problems.append(Problem(mark, "include", f"cannot include '{shown(found)}': {reason}", "correct the name, or take it out"))
            return merged
        result = merge(merged, self._merged(found, text, variables, above))
        assert isinstance(result, Mapping)
        return result

    def _includes(self, own: Mapping, variables: dict[str, Plain]) -> list[Scalar]:
        given = own.get("include")
        if given is None:
            return []
        filling = Variables(variables)
        filled = filling.fill(given, ("include",))
        self.problems += filling.problems
        items = filled.values if isinstance(filled, Items) else [filled]
        return [item for item in items if isinstance(item, Scalar) and isinstance(item.value, str)]  # others are told by the shape

    def _matches(self, path: Path, scalar: Scalar) -> list[Path]:
        pattern = str(scalar.value)
        if any(character in pattern for character in _MAGIC):
            found = glob.glob(pattern, root_dir=path.parent, recursive=True)  # noqa: PTH207 - Path.glob takes no absolute pattern
            return [path.parent / name for name in sorted(found) if (path.parent / name).resolve() != path.resolve()]
        return [path.parent / pattern]


def shown(path: Path) -> str:
    """As a person would type it: relative where it lies below the current folder."""
    try:
        relative = os.path.relpath(path)
    except ValueError:  # another drive
        return str(path)
    return str(path) if relative.startswith("..") else relative
