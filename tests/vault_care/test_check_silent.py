"""A location that does not answer is named; the others are checked, and nobody says that the vault is whole."""

import pytest

from holdfast.errors import Unreachable
from holdfast.storage.wrappers.faults import Fault, Faulty
from holdfast.vault.check import Check
from tests.vault_care.conftest import files

ALWAYS = 10**6


def check(depot, *faults, silent=1, **options):
    """A check of both locations, one of which meets ``faults``."""
    wrapped = []

    def wrap(storage):
        if storage is depot.storages[silent]:
            wrapped.append(Faulty(storage, *faults))
            return wrapped[0]
        return storage

    vault = depot.open(wrap=wrap)
    for fault in faults:
        fault.times = ALWAYS
    return Check(vault, **{"share": 1.0, **options}).run()


def never():
    """From the moment at which the check begins."""
    return Fault("*", times=0)


@pytest.fixture
def filled(depot):
    depot.point = depot.take(files(1, 2, 3000))
    depot.log(0x1000, b"x" * 500)
    depot.log(0x1000 + 500, b"y" * 500)
    return depot


@pytest.mark.parametrize("silent", [0, 1])
def test_the_others_are_checked_and_what_is_wrong_in_them_is_found(filled, silent):
    other = filled.storages[1 - silent]
    name = filled.names("packs/", 1 - silent)[0]
    report = check(filled, never(), silent=silent)
    assert not report.ok
    assert not report.damaged
    assert list(report.silent) == [filled.storages[silent].url]
    assert list(report.objects) == [other.url]
    assert report.read > 0
    filled.damage(name, 1 - silent)
    report = check(filled, never(), silent=silent)
    assert report.damaged
    assert [(one.location, one.object) for one in report.wrong] == [(other.url, name)]
    assert report.to_json()["silent"].keys() == {filled.storages[silent].url}


@pytest.mark.parametrize(("call", "prefix"), [("get", "packs/"), ("get", "points/"), ("list", "logs/"), ("get", "logs/")])
def test_one_that_falls_silent_on_the_way_is_named_too(filled, call, prefix):
    report = check(filled, Fault(call, prefix=prefix, times=0))
    assert list(report.silent) == [filled.storages[1].url]
    assert not report.ok
    assert report.wrong == []


def test_a_log_that_only_the_silent_one_may_have_is_not_called_lost(filled):
    filled.log(0x1000 + 1000, b"z" * 500)
    (middle,) = [name for name in filled.names("logs/") if f"{0x1000 + 500:016x}-" in name]
    filled.storages[0].delete(middle)
    report = check(filled, never())
    assert report.wrong == []
    assert [one.code for one in report.found] == ["log-gap"]
    assert filled.storages[1].url in report.found[0].detail


def test_healing_goes_on_between_those_that_answer(filled):
    name = filled.names("packs/")[0]
    filled.damage(name)
    report = check(filled, never(), heal=True)
    assert [one.unhealed != "" for one in report.wrong] == [True]
    assert check(filled, Fault("list", prefix="nothing", times=0), heal=True).ok


def test_where_none_answers_or_the_only_one_asked_does_not_that_is_what_is_said(filled):
    with pytest.raises(Unreachable):
        check(filled, never(), only=filled.storages[1].url)
    report = check(filled, never(), only=filled.storages[0].url)
    assert report.ok
