"""Copies of a platform's journal, plan, runbooks and suites in a location of its vault: an empty machine finds them beside the data."""

import contextlib
import datetime as dt
import hashlib
from collections.abc import Callable, Mapping

from holdfast.errors import Damaged
from holdfast.storage.contract import ObjectExists, Storage
from holdfast.vault.errors import ObjectDamaged, RoleLacking
from holdfast.vault.format import names
from holdfast.vault.format.text import from_json, to_json
from holdfast.vault.keys.notary import Notary

RUNBOOKS, SUITES = ".runbooks", ".suites"
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
                    hint="A journal folder was copied or set back: 'holdfast log' compares. Neither entry was changed.",
                    object=name,
                ) from None

    def put_plan(self, text: str, digest: str) -> bool:
        """The plan's text, unless the newest plan here has the same ``digest`` (``Plan.hash``); True when it was stored."""
        tag = self._notary.tag("plan", digest)
        return self._put_newest(tag, text.encode("utf-8", "surrogatepass"), "")

    def put_runbooks(self, texts: Mapping[str, str]) -> bool:
        """The runbooks by their paths, unless the newest here are the same; True when they were stored."""
        return bool(texts) and self._put_texts("runbooks", texts, RUNBOOKS)

    def put_suites(self, texts: Mapping[str, str], *, whole: bool) -> bool:
        """The plan's suites of expectations by their places beside it, unless the newest here are the same; True when they were stored.

        ``whole`` False: some that the plan names are not on this machine. Then nothing takes the place of what another one stored.
        """
        if not texts or (not whole and _named(self._storage, SUITES)):
            return False
        return self._put_texts("suites", texts, SUITES)

    def _put_texts(self, what: str, texts: Mapping[str, str], suffix: str) -> bool:
        body = to_json(dict(texts))
        return self._put_newest(self._notary.tag("plan", f"{what} {hashlib.sha256(body).hexdigest()}"), body, suffix)

    def _put_newest(self, tag: str, body: bytes, suffix: str) -> bool:
        newest = max(_named(self._storage, suffix), default=None)
        if newest is not None:
            with contextlib.suppress(Damaged):
                if self._notary.check(newest, self._storage.get(newest), "plan").clear.get("hash") == tag:
                    return False
        now = self._now()
        name = f"{names.PLAN}{names.session_id(now, self._notary.random(10))}{suffix}"
        self._storage.put_if_absent(name, [self._notary.make(name, "plan", now, {"hash": tag}, plain=body)])
        return True


def newest_plan(storage: Storage, notary: Notary) -> tuple[str | None, list[str]]:
    """(the text of the newest plan that is sound and that this key can open, sentences about newer ones that are not)."""
    body, wrong = _newest(storage, notary, "")
    return None if body is None else body.decode("utf-8", "surrogatepass"), wrong


def newest_runbooks(storage: Storage, notary: Notary) -> tuple[dict[str, str], list[str]]:
    """(path and text of the runbooks as they were copied last, sentences about newer copies that are not sound)."""
    return _texts(storage, notary, RUNBOOKS)


def newest_suites(storage: Storage, notary: Notary) -> tuple[dict[str, str], list[str]]:
    """(place beside the plan and text of the suites as they were copied last, sentences about newer copies that are not sound)."""
    return _texts(storage, notary, SUITES)


def _texts(storage: Storage, notary: Notary, suffix: str) -> tuple[dict[str, str], list[str]]:
    body, wrong = _newest(storage, notary, suffix)
    found = {} if body is None else from_json(body)
    return {str(path): str(text) for path, text in found.items()} if isinstance(found, dict) else {}, wrong


def journals(storage: Storage, notary: Notary) -> tuple[dict[str, list[bytes]], list[str]]:
    """(by host's tag the lines of its journal, in order; sentences about entries that are not sound). What they prove the lines say."""
    lines: dict[str, list[bytes]] = {}
    wrong: list[str] = []
    for info in storage.list(names.JOURNAL):
        try:
            line = notary.open(notary.check(info.name, storage.get(info.name), "journal"))
        except (Damaged, RoleLacking) as error:
            wrong.append(error.message)
        else:
            lines.setdefault(info.name[len(names.JOURNAL) :].split("/")[0], []).append(line)
    return lines, wrong


def _named(storage: Storage, suffix: str) -> list[str]:
    """``suffix`` '': plans alone."""
    return [info.name for info in storage.list(names.PLAN) if info.name[len(names.PLAN) :].partition(".")[2] == suffix[1:]]


def _newest(storage: Storage, notary: Notary, suffix: str) -> tuple[bytes | None, list[str]]:
    wrong: list[str] = []
    for name in sorted(_named(storage, suffix), reverse=True):
        try:
            return notary.open(notary.check(name, storage.get(name), "plan")), wrong
        except (Damaged, RoleLacking) as error:
            wrong.append(error.message)
    return None, wrong
