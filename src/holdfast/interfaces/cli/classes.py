"""Dataclasses that are made in a third of the time.

A command makes some 170 dataclasses, half of them of libraries. Python 3.11 and 3.12 write the source of each method of each of them and
compile it, which is a quarter of what a short command does. All but ``__init__`` are made here of ordinary functions, which do the same
(``tests/cli/test_classes.py`` compares them). Later Pythons compile a class's methods at once and are left as they are.
"""

import dataclasses
import inspect
import sys
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

_COMPILING = ((3, 11), (3, 12))
_MAKERS = {
    "_frozen_get_del_attr": ("cls", "fields", "globals"),
    "_hash_fn": ("fields", "globals"),
    "_repr_fn": ("fields", "globals"),
    "_cmp_fn": ("name", "op", "self_tuple", "other_tuple", "globals"),
}
"""What makes the methods there, and their parameters."""
_RECURSIVE: Callable[[Callable[[Any], str]], Callable[[Any], str]] | None = getattr(dataclasses, "_recursive_repr", None)
_COMPARING: Callable[..., Any] | None = getattr(dataclasses, "_cmp_fn", None)


def quick_dataclasses() -> bool:
    """Make this process' dataclasses so from now on; returns whether this Python is one of those where that is known to be the same."""
    if sys.version_info[:2] not in _COMPILING or sys.implementation.name != "cpython" or not _as_known():
        return False
    for name, maker in _OURS.items():
        setattr(dataclasses, name, maker)
    return True


def _as_known() -> bool:
    def parameters(name: str) -> tuple[str, ...]:
        found = getattr(dataclasses, name, None)
        return tuple(inspect.signature(found).parameters) if inspect.isfunction(found) else ()

    return _RECURSIVE is not None and all(parameters(name) == known for name, known in _MAKERS.items())


def _values(names: Sequence[str]) -> Callable[[Any], tuple[Any, ...]]:
    """What gives the tuple of these attributes of an object."""
    if len(names) > 1:
        return attrgetter(*names)
    if not names:
        return lambda _: ()
    only = attrgetter(*names)
    return lambda one: (only(one),)


def _frozen_get_del_attr(cls: type, fields: "Sequence[dataclasses.Field[Any]]", globals: Any) -> tuple[Any, Any]:  # noqa: A002, ARG001
    names = tuple(field.name for field in fields)
    frozen = dataclasses.FrozenInstanceError

    def __setattr__(self: Any, name: str, value: Any) -> None:  # noqa: N807
        if type(self) is cls or name in names:
            raise frozen(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)  # type: ignore[arg-type]

    def __delattr__(self: Any, name: str) -> None:  # noqa: N807
        if type(self) is cls or name in names:
            raise frozen(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)  # type: ignore[arg-type]

    return __setattr__, __delattr__


def _hash_fn(fields: "Sequence[dataclasses.Field[Any]]", globals: Any) -> Any:  # noqa: A002, ARG001
    values = _values([field.name for field in fields])

    def __hash__(self: Any) -> int:  # noqa: N807
        return hash(values(self))

    return __hash__


def _repr_fn(fields: "Sequence[dataclasses.Field[Any]]", globals: Any) -> Any:  # noqa: A002, ARG001
    names = [field.name for field in fields]

    def __repr__(self: Any) -> str:  # noqa: N807
        return f"{self.__class__.__qualname__}({', '.join([f'{name}={getattr(self, name)!r}' for name in names])})"

    assert _RECURSIVE is not None
    return _RECURSIVE(__repr__)


def _cmp_fn(name: str, op: str, self_tuple: str, other_tuple: str, globals: Any) -> Any:  # noqa: A002
    if name != "__eq__":
        assert _COMPARING is not None
        return _COMPARING(name, op, self_tuple, other_tuple, globals)
    values = _values([one.removeprefix("self.") for one in self_tuple[1:-1].split(",") if one])

    def __eq__(self: Any, other: Any) -> Any:  # noqa: N807
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    return __eq__


_OURS: dict[str, Callable[..., Any]] = {
    "_frozen_get_del_attr": _frozen_get_del_attr,
    "_hash_fn": _hash_fn,
    "_repr_fn": _repr_fn,
    "_cmp_fn": _cmp_fn,
}
