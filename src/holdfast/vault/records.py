"""Copies of a platform's journal and plan in a location of its vault, so that an empty machine finds both beside the data."""

import contextlib
import datetime as dt
from collections.abc import Callable

from holdfast.errors import Damaged
from holdfast.storage.contract import ObjectExists, Storage
from holdfast.vault import names
from holdfast.vault.errors import ObjectDamaged, RoleLacking
from holdfast.vault.notary import Notary

Now = Callable[[], dt.datetime]


class RecordCopies:
    """One location; satisfies ``journal.Copies``. Needs a key that writes."""

    def __init__(self, storage: Storage, notary: Notary, now: Now) -> None:
        self._storage = storage
        self._notary = notary
        self._now = now

    def put(self, name: str, data: bytes) -> None:
        """A journal entry under its name (``journal/…``), sealed and signed; durable when it returns.

        The same bytes again are fine. Raises ObjectDamaged for other bytes under that name, RoleLacking, Unreachable.
        """
        try:
            self._storage.put_if_absent(name, [self._notary.make(name, "journal", self._now(), plain=data)])
        except ObjectExists:
            if self._notary.open(self._notary.check(name, self._storage.get(name), "journal")) != data:
                raise ObjectDamaged(
                    f"{self._storage.url} holds another journal entry as {name}.",
                    hint="A journal folder was copied or set back: 'holdfast log --verify' compares. Neither entry was changed.",
                    object=name,
                ) from None

    def put_plan(self, text: str, digest: str) -> bool:
        """The plan's text, unless the newest plan here has the same ``digest`` (``Plan.hash``); True when it was stored."""
        tag = self._notary.tag("plan", digest)
        newest = max((info.name for info in self._storage.list(names.PLAN)), default=None)
        if newest is not None:
            with contextlib.suppress(Damaged):
                if self._notary.check(newest, self._storage.get(newest), "plan").clear.get("hash") == tag:
                    return False
        now = self._now()
        name = f"{names.PLAN}{names.session_id(now, self._notary.random(10))}"
        self._storage.put_if_absent(
            name, [self._notary.make(name, "plan", now, {"hash": tag}, plain=text.encode("utf-8", "surrogatepass"))]
        )
        return True


def newest_plan(storage: Storage, notary: Notary) -> tuple[str | None, list[str]]:
    """(the text of the newest plan that is sound and that this key can open, sentences about newer ones that are not)."""
    wrong: list[str] = []
    for name in sorted((info.name for info in storage.list(names.PLAN)), reverse=True):
        try:
            return notary.open(notary.check(name, storage.get(name), "plan")).decode("utf-8", "surrogatepass"), wrong
        except (Damaged, RoleLacking) as error:
            wrong.append(error.message)
    return None, wrong
