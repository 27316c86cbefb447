"""Increments that are sealed before their turn: what is stored is what was appended, in order, whatever was announced."""

import os
import threading

import pytest

from holdfast.storage import StorageUnreachable
from holdfast.storage.wrappers.base import Wrapper
from holdfast.vault.logs import LogConflict, body, names


def joined(reader, start=0):
    return b"".join(bytes(data) for _, data in reader.stream(start))


def test_what_was_announced_is_sealed_elsewhere_and_stored_in_its_turn(place, monkeypatch):
    sealed_by = {}
    seal = body.seal

    def told(notary, name, **rest):
        sealed_by[name] = threading.current_thread().name
        return seal(notary, name, **rest)

    monkeypatch.setattr(body, "seal", told)
    pieces = [bytearray(os.urandom(70_000)) for _ in range(4)]
    with place.logs().writer("main") as writer:
        for number, piece in enumerate(pieces):
            for later in (number + 1, number + 2):
                if later < len(pieces) and (later == 1 or later == number + 2):
                    writer.ahead(later * 70_000, pieces[later], {"n": later})
            writer.append(number * 70_000, piece, {"n": number})
            assert writer.end == (number + 1) * 70_000
    reader = place.logs().reader("main")
    assert joined(reader) == b"".join(pieces)
    assert [reader.meta(one) for one in reader.increments()] == [{"n": n} for n in range(4)]
    by = [sealed_by[one.name] for one in reader.increments()]
    assert len(sealed_by) == 4
    assert by[0] == threading.current_thread().name
    assert all(name.startswith("seal") for name in by[1:])


def test_nothing_is_stored_that_was_only_announced(place):
    with place.logs().writer("main") as writer:
        writer.ahead(0, b"x" * 1000, {})
        writer.ahead(1000, b"y" * 1000, {})
    assert list(place.logs().reader("main").increments()) == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("seal")]


def test_other_bytes_another_size_or_another_meta_than_announced_are_sealed_anew(place, monkeypatch):
    monkeypatch.setattr(names, "LONGEST", 5000)
    one, other = b"x" * 1000, b"y" * 1000
    with place.logs().writer("main") as writer:
        writer.ahead(0, one, {"n": 1})
        writer.append(0, other, {"n": 1})
        writer.ahead(1000, one, {"n": 2})
        writer.append(1000, one, {"n": 3})
        writer.ahead(2000, one, {})
        writer.append(2000, memoryview(one)[:500], {})
        writer.ahead(2500, bytes(names.LONGEST + 1), {})
        writer.append(2500, one, {})
        # Part of it is there already: only the rest is stored.
        writer.ahead(3000, one, {})
        writer.append(3000, one, {})
        assert not writer._ahead._begun.keys() - {3000}
        with pytest.raises(LogConflict):
            writer.append(3000, other, {})
    reader = place.logs().reader("main")
    assert joined(reader) == other + one + one[:500] + one + one[:500]
    assert [reader.meta(found).get("n") for found in reader.increments()] == [1, 3, None, None, None]


def test_a_failed_seal_or_put_is_told_by_its_append_and_done_anew(place, monkeypatch):
    away = threading.Event()

    class Away(Wrapper):
        def put_if_absent(self, name, parts):
            if away.is_set() and name.startswith("logs/"):
                raise StorageUnreachable("gone")
            self.inner.put_if_absent(name, parts)

    with place.logs(wrap=Away).writer("main") as writer:
        seal = body.seal
        monkeypatch.setattr(body, "seal", lambda *_, **__: (_ for _ in ()).throw(StorageUnreachable("no")))
        writer.ahead(0, b"x" * 1000, {})
        with pytest.raises(StorageUnreachable):
            writer.append(0, b"x" * 1000, {})
        monkeypatch.setattr(body, "seal", seal)
        data = b"x" * 1000
        away.set()
        writer.ahead(0, data, {})
        with pytest.raises(StorageUnreachable):
            writer.append(0, data, {})
        assert writer.end is None
        away.clear()
        writer.append(0, data, {})
    assert joined(place.logs().reader("main")) == data
