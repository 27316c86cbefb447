"""An init that died is followed by one that works; what might be a vault is left alone."""

import contextlib

import pytest

from holdfast.errors import HoldfastError
from holdfast.storage.memory import MemoryStorage
from holdfast.storage.wrappers.faults import Fault, Faulty
from holdfast.vault import Vault
from holdfast.vault.check import Check
from holdfast.vault.errors import VaultExists, VaultRemains
from holdfast.vault.format import names
from tests.vault.kit import CHEAP, CLOCK, SECRET, capture, create, restore


class Died(BaseException):
    pass


def die(_call, _name):
    raise Died


def test_after_an_init_that_died_at_any_call_the_next_one_works(tmp_path):
    number = 0
    while True:
        storages = [MemoryStorage(name="a"), MemoryStorage(name="b")]
        fault = Fault("put", die, after=number)
        try:
            Vault.create([Faulty(storage, fault) for storage in storages], SECRET, clock=CLOCK, cache=tmp_path / "died", cost=CHEAP)
        except Died:
            pass
        else:
            break
        if storages[0].head(names.CONFIG) is None:
            vault = create(tmp_path / str(number), *storages)
            capture(vault, {"f": b"content"})
            assert Check(vault, share=1).run().found == []
            for storage in storages:
                alone = Vault.open([storage], SECRET, clock=CLOCK, cache=tmp_path / "alone")
                assert restore(alone.reader(alone.points()[0])) == {"f": b"content"}
        else:
            with pytest.raises(VaultExists):
                create(tmp_path / str(number), *storages)
        number += 1
    assert number > 8


def test_a_vault_that_lost_its_config_is_not_taken_for_one_that_was_never_made(tmp_path):
    storage = MemoryStorage()
    vault = create(tmp_path, storage)
    capture(vault, {"f": b"content"})
    config = storage.get(names.CONFIG)
    storage.delete(names.CONFIG)
    before = dict(storage.objects)
    with pytest.raises(VaultRemains):
        create(tmp_path / "again", storage)
    assert storage.objects == before
    storage.put_if_absent(names.CONFIG, [config])
    assert Vault.open([storage], SECRET, clock=CLOCK, cache=tmp_path / "open").points()


def test_two_inits_at_once_never_both_succeed_and_no_broken_vault_is_reported_as_made(tmp_path):
    """The second one begins at each call of the first."""
    for at in range(40):
        storage = MemoryStorage()
        second = []

        def begin(_call, _name, storage=storage, second=second, at=at):
            second.append(create(tmp_path / f"second{at}", storage))

        made = None
        with contextlib.suppress(HoldfastError):
            faulty = Faulty(storage, Fault("*", begin, after=at))
            made = Vault.create([faulty], "other", clock=CLOCK, cache=tmp_path / f"first{at}", cost=CHEAP)[0]
        assert not (made and second)
        if made or second:
            # It does open, or this raises.
            Vault.open([storage], "other" if made else SECRET, clock=CLOCK, cache=tmp_path / f"look{at}")
