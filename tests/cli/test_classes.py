"""Dataclasses made the quick way are those that Python makes."""

import copy
import dataclasses
import importlib.util
import math
import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.interfaces.cli import classes

KNOWN = sys.version_info[:2] in classes._COMPILING and sys.implementation.name == "cpython"
TOLD = {name: getattr(dataclasses, name, None) for name in classes._OURS}
NAN = math.nan
VALUES = st.one_of(st.integers(-2, 2), st.text(max_size=2), st.just(NAN), st.lists(st.integers(0, 1), max_size=1), st.none())
FIELDS = st.lists(
    st.fixed_dictionaries({"compare": st.booleans(), "repr": st.booleans(), "hash": st.sampled_from([None, True, False])}), max_size=4
)


@pytest.fixture(autouse=True)
def as_python_makes_them():
    """Another test of this process may have run a command line."""
    yield
    for name, maker in TOLD.items():
        if maker is not None:
            setattr(dataclasses, name, maker)


def both(**options):
    """The same class, made by Python and made quickly."""
    return made(quick=False, **options), made(quick=True, **options)


def made(*, quick, fields, below, decorated):
    for name, maker in classes._OURS.items():
        setattr(dataclasses, name, maker if quick else ORIGINAL[name])
    space = {
        "__annotations__": {f"f{number}": object for number in range(len(fields))},
        "__qualname__": "Made",
        **{f"f{number}": dataclasses.field(default=number, **options) for number, options in enumerate(fields)},
    }
    cls = dataclasses.dataclass(**decorated)(type("Made", (), space))
    if below:
        inner = {"__annotations__": {"more": object}, "__qualname__": "Below", "more": 7}
        cls = dataclasses.dataclass(**decorated)(type("Below", (cls,), inner))
    return cls


def original():
    """Python's own makers, also in a process where others were put in their place."""
    spec = importlib.util.find_spec("dataclasses")
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    fresh.FrozenInstanceError = dataclasses.FrozenInstanceError
    return {name: getattr(fresh, name, None) for name in classes._OURS}


ORIGINAL = original()


def outcome(work):
    """What came of it: a value or an error with its words."""
    try:
        return work()
    except Exception as error:  # noqa: BLE001 - compared
        return type(error), str(error)


@pytest.mark.skipif(not KNOWN, reason="this Python makes them quickly itself")
@given(
    fields=FIELDS,
    below=st.booleans(),
    flags=st.fixed_dictionaries({name: st.booleans() for name in ("frozen", "slots", "eq", "order", "unsafe_hash", "repr")}),
    data=st.data(),
)
def test_they_do_the_same(fields, below, flags, data) -> None:
    flags["eq"] = flags["eq"] or flags["order"]
    theirs, ours = both(fields=fields, below=below, decorated=flags)
    count = len(fields) + below
    values = data.draw(st.lists(VALUES, min_size=count, max_size=count))
    others = data.draw(st.lists(VALUES, min_size=count, max_size=count))
    assert repr(answers(theirs, flags, values, others)) == repr(answers(ours, flags, values, others))


def answers(cls, flags, values, others):
    one, same, other = cls(*values), cls(*values), cls(*others)
    methods = ("__init__", "__eq__", "__hash__", "__repr__", "__setattr__")
    return [
        outcome(lambda: repr(one)) if flags["repr"] else None,
        outcome(lambda: (one == same, one != same, one == other, one == object())),
        outcome(lambda: hash(one) == hash(same)),
        # An object that has no hash of its own has that of its place.
        outcome(lambda: hash(one)) if flags["eq"] or flags["unsafe_hash"] else None,
        outcome(lambda: (one < other, one <= other)),
        *(outcome(lambda name=name: setattr(same, name, 5)) for name in ("f0", "more", "foreign")),
        *(outcome(lambda name=name: delattr(same, name)) for name in ("f1", "foreign")),
        outcome(lambda: dataclasses.astuple(dataclasses.replace(one))),
        outcome(lambda: copy.copy(one) == one),
        [field.name for field in dataclasses.fields(cls)],
        {name: getattr(getattr(cls, name), "__qualname__", None) for name in methods},
    ]


@pytest.mark.skipif(not KNOWN, reason="this Python makes them quickly itself")
def test_one_that_holds_itself_can_be_written() -> None:
    theirs, ours = both(fields=[{}], below=False, decorated={})
    told = []
    for cls in (theirs, ours):
        one = cls()
        one.f0 = one
        told.append(repr(one))
    assert told == ["Made(f0=...)"] * 2


def test_a_python_that_makes_them_in_another_way_is_left_as_it_is(monkeypatch) -> None:
    before = {name: getattr(dataclasses, name, None) for name in classes._OURS}
    monkeypatch.setattr(dataclasses, "_hash_fn", lambda fields: None, raising=False)
    assert classes.quick_dataclasses() is False
    after = {name: getattr(dataclasses, name, None) for name in classes._OURS}
    assert {name: one for name, one in after.items() if name != "_hash_fn"} == {
        name: one for name, one in before.items() if name != "_hash_fn"
    }


def test_a_command_makes_them_so() -> None:
    words = "import dataclasses; from holdfast.interfaces.cli.main import main; main(['--version'])"
    look = "from holdfast.interfaces.cli import classes; print(getattr(dataclasses, '_hash_fn', None) is classes._OURS['_hash_fn'])"
    done = subprocess.run([sys.executable, "-c", f"{words}; {look}"], capture_output=True, text=True, check=True, env=dict(os.environ))
    assert done.stdout.splitlines()[-1] == str(KNOWN)
