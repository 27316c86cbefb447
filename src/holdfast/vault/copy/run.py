"""Brings one location to the state of others, byte for byte and without a key.

Keys first, then indexes; then point by point the packs that it needs and the point itself; holds, logs, journal and plan; in a new
location ``config`` last: until then it is no vault. Resumable, since what lies there is not sent again; nothing is ever removed.

Packs travel only because a point needs them, and a point only when no location records it as dropped or aborted: so what a prune removed
does not come back from a location that was set back to an older state of itself. A key slot travels only when the newest keyring of any
location lists it.
"""

import datetime as dt
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, cast

from holdfast.errors import Unreachable
from holdfast.model import Progress, Silent
from holdfast.storage.contract import ObjectExists, ObjectInfo, ObjectMissing, Storage
from holdfast.vault.copy.judge import PLAIN, Judge
from holdfast.vault.copy.logs import lacking_increments
from holdfast.vault.copy.sources import Sources
from holdfast.vault.errors import VaultMixed
from holdfast.vault.format import names
from holdfast.vault.format.envelope import PACK_ENTRY
from holdfast.vault.locations import get_if_there
from holdfast.vault.lock import attach, before_copied
from holdfast.vault.packs import condemned, damage

if TYPE_CHECKING:
    from holdfast.vault.keys.notary import Notary

_THREADS = 3
"""Each holds a whole pack."""
_POINTS = 64
"""Points that are prepared together: their packs go side by side."""
_INCREMENTS = 16
_TRIES = 3
_KEYS = (names.WRITERS, names.EPOCHS, names.RINGS, names.REVOKED, names.SLOTS, names.SCOPED, names.SHREDS)
_RECORDS = (names.HOLDS, names.JOURNAL, names.PLAN, names.HOSTS, names.ANCHORS, names.EVIDENCE)


@dataclass(slots=True)
class Copied:
    """``there`` objects were in the target already; ``points`` of ``objects`` are recovery points.

    ``refused``: sentences about objects that were not copied because they are not sound, or whose place is taken; ``left``: about what was
    removed on purpose and is not brought back; ``later``: about points whose turn comes when a prune of the target is over; ``silent``:
    sources that did not answer, by address, with the reason.
    """

    objects: int = 0
    bytes: int = 0
    there: int = 0
    points: int = 0
    refused: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    later: list[str] = field(default_factory=list)
    silent: Mapping[str, str] = field(default_factory=dict)


def copy(
    source: Storage | Sequence[Storage],
    target: Storage,
    *,
    without: Collection[str] = (),
    history: bool = True,
    progress: Progress | None = None,
) -> Copied:
    """What ``source`` holds (the union, if several) into ``target``. Run it again to go on.

    ``without``: tags of systems whose points and logs do not belong there. ``history`` False: only what makes an empty location one of the
    vault (keys and configuration). Raises VaultMissing, VaultMixed (a location holds another vault), FormatNewer, ObjectDamaged, and the
    errors of the target, and of the sources when none of them answers.
    """
    sources: Sequence[Storage] = [source] if not isinstance(source, Sequence) else source
    attach([*sources, target])
    return _Copy(sources, target, frozenset(without), progress or Silent()).run(history=history)


class _Copy:
    def __init__(self, sources: Sequence[Storage], target: Storage, without: frozenset[str], progress: Progress) -> None:
        self._target = target
        self._without = without
        self._progress = progress
        own = target.head(names.CONFIG) is not None
        self._judge = Judge(sources, target if own else None)
        if not own and not self._ours():
            raise VaultMixed(f"{target.url} holds points of another vault.", hint="Name an empty location.", url=target.url)
        self._own = own
        self._sources = Sources(sources, self._judge)
        self._packs: set[str] = set()
        """What lies in the target, as far as it was listed since the points at hand are staged."""
        self._ahead = ""
        """The point that was staged before its turn."""
        self._locked: dict[str, dt.datetime] = {}
        self._done = Copied()

    def _ours(self) -> bool:
        """Points in a location without a configuration are those of a copy that was cut off, or of one at work now."""
        for info in self._target.list(names.POINTS):
            data = self._held(info.name)
            if data is not None:
                return self._judge.problem(info.name.removesuffix(names.COMING), data) is None
        return True

    def _held(self, name: str) -> bytes | None:
        """What the target has of that name; None if a prune or another copy took it away since it was listed."""
        return get_if_there(self._target, name)

    def run(self, *, history: bool) -> Copied:
        self._all(self._one, [name for name in PLAIN if self._target.head(name) is None])
        for prefix in _KEYS:
            self._prefix(prefix)
        if history:
            self._prefix(names.INDEX)
            # Listed before the logs are copied, put after them: a point that stands in the target has the log that it was listed with.
            wanted = self._lacking(self._sources.list(names.POINTS))
            self._stage_last(wanted)
            self._logs()
            self._points(wanted)
            for prefix in _RECORDS:
                self._prefix(prefix)
            self._damaged()
        if not self._own:
            self._put(names.CONFIG, self._judge.config)
        self._done.silent = self._sources.silent
        return self._done

    def _prefix(self, prefix: str) -> None:
        held = {info.name: info.size for info in self._target.list(prefix)}
        missing: list[ObjectInfo] = []
        for name, info in self._sources.list(prefix).items():
            if name not in held:
                why = self._judge.withheld(name)
                if why is None:
                    missing.append(info)
                else:
                    self._done.left.append(why)
            elif held[name] == info.size:
                self._done.there += 1
            else:
                self._done.refused.append(f"{name}: the target holds another object of that name.")
        if missing:
            self._progress.phase(f"copying {prefix}", sum(info.size for info in missing))
        self._all(self._one, [info.name for info in missing])

    def _one(self, name: str) -> None:
        """Send one object if some source has it sound; one that is gone everywhere was removed since it was listed."""
        data, wrong = self._sources.get(name)
        if data is not None:
            self._put(name, data)
            self._progress.advance(len(data))
        elif wrong:
            self._done.refused.append(f"{name}: {wrong}.")

    # ------------------------------------------------------------ points

    def _lacking(self, listed: Mapping[str, ObjectInfo]) -> list[str]:
        """Names of the points and aborts that the target lacks, or whose place there an abort holds that makes way."""
        held = {info.name: info.size for info in self._target.list(names.POINTS)}
        going = {parsed[0] for name in (*listed, *held) if (parsed := names.parse_point(name)) is not None and parsed[1]}
        wanted: list[str] = []
        for name, info in listed.items():
            parsed = names.parse_point(name)
            if parsed is None or parsed[1]:
                continue
            if name in held:
                differs = held[name] != info.size or name in self._sources.differ
                there = self._held(name) if differs else None
                if differs and there is None:
                    self._done.later.append(f"{name}: a prune took it out of the target while this copy looked.")
                    continue
                self._done.there += 1
                if there is not None and self._too_late(there, name):
                    wanted.append(name)
                elif held[name] != info.size:
                    self._done.left.append(f"{name}: one location holds a recovery point, another one says that it was given up.")
            elif parsed[0] in going:
                self._done.left.append(f"{name}: it is being removed by a prune.")
            else:
                wanted.append(name)
        for name in held:
            if (session := names.parse_coming(name)) is not None and names.point(session) in held and self._decided(names.point(session)):
                self._target.delete(name)  # of a copy that was cut off behind its point
        return wanted

    def _stage_last(self, wanted: Sequence[str]) -> None:
        """The point whose turn comes last is staged before the log is brought: while anything is staged no prune of the target trims a log.
        So it stays until the points stand that need it, also where the prune does not know where they come from.
        """
        for name in reversed(wanted):
            data, _ = self._point(name)
            if data is None:
                continue
            parsed = self._judge.envelope(name, data)
            if parsed.kind == "point" and parsed.clear.get("system") not in self._without:
                self._stage(name, data)
                self._ahead = name
                return

    def _unstage_given_up(self, name: str) -> None:
        """Where a prune gave up, meanwhile, what was staged ahead of its turn."""
        if name == self._ahead and self._decided(name):
            self._target.delete(name + names.COMING)

    def _points(self, wanted: Sequence[str]) -> None:
        if not wanted:
            return
        sizes = {name: info.size for name, info in self._sources.list(names.PACKS).items()}
        for at in range(0, len(wanted), _POINTS):
            self._batch(wanted[at : at + _POINTS], sizes)

    def _decided(self, name: str) -> bool:
        """Whether a point stands in the target, or an abort for good: then nobody needs what was staged for it. Where an abort only says
        that a session came too late, a copy that is at work now may be about to put the point in its place.
        """
        data = self._held(name)
        return data is not None and self._judge.problem(name, data) is None and not self._too_late(data, name)

    def _batch(self, wanted: Sequence[str], sizes: Mapping[str, int]) -> None:
        needs: dict[str, tuple[bytes, list[str]]] = {}
        for name in wanted:
            data, wrong = self._point(name)
            if data is None:
                if wrong:
                    self._done.refused.append(f"{name}: {wrong}.")
                self._unstage_given_up(name)
                continue
            parsed = self._judge.envelope(name, data)
            if parsed.clear.get("system") in self._without:
                continue
            if parsed.kind != "point":
                # That a session came too late for one location says nothing about another.
                if not self._too_late(data, name):
                    self._put(name, data)
                self._unstage_given_up(name)
                continue
            entries = [parsed.packs[at : at + PACK_ENTRY] for at in range(0, len(parsed.packs), PACK_ENTRY)]
            needs[name] = data, [names.pack(entry[:16], entry[16:]) for entry in entries]
        for name, (data, _) in needs.items():
            self._stage(name, data)
        # After the staging: a prune of the target writes its list before it looks for staged points, so one of us sees the other.
        going = self._going() if needs else set()
        kept = {name: told for name, told in needs.items() if not going.intersection(told[1])}
        self._done.later += [f"{name}: a prune of the target is at work on packs that it needs." for name in needs.keys() - kept.keys()]
        missing = sorted({pack for _, packs in kept.values() for pack in packs} - self._packs)
        if missing:
            self._progress.phase("copying packs", sum(sizes.get(pack, 0) for pack in missing))
        lost: dict[str, str] = {}
        self._all(partial(self._pack, lost), missing)
        for name, (data, packs) in kept.items():
            lacking = [pack for pack in packs if pack not in self._packs]
            if lacking and not self._removed(name):
                self._done.refused += [f"{pack}: {lost.pop(pack)}." for pack in lacking if pack in lost]
                self._done.refused.append(f"{name}: {len(lacking)} packs that it needs are not in the target.")
            elif not lacking:
                before_copied(self._target, packs, self._locked)
                # Only then: what was staged for a point that could not come yet goes on protecting what is there of it.
                if self._put_point(name, data, packs):
                    self._done.points += 1
                    self._target.delete(name + names.COMING)

    def _point(self, name: str) -> tuple[bytes | None, str]:
        """A point's object. Where one source aborted for good what another one still lists as a point, the abort: a prune removed it."""
        if name in self._sources.differ:
            for kind in ("abort", "point"):
                data, _ = self._sources.get(name, partial(self._is, name, kind))
                if data is not None:
                    return data, ""
        return self._sources.get(name)

    def _removed(self, name: str) -> bool:
        """Whether a prune removed the point from the sources since it was listed, and its packs with it: it does not come here either."""
        data, wrong = self._sources.get(name)
        gone = data is None and not wrong
        if data is not None and self._judge.envelope(name, data).kind == "abort":
            gone = True
            if not self._too_late(data, name):
                self._put(name, data)
        if gone:
            self._done.left.append(f"{name}: a prune removed it while this copy ran.")
            # Not before an abort stands there: a copy from another source may rely on what is staged.
            if self._decided(name):
                self._target.delete(name + names.COMING)
        return gone

    def _is(self, name: str, kind: str, data: bytes) -> bool:
        return self._judge.envelope(name, data).kind == kind and not self._too_late(data, name)

    def _too_late(self, data: bytes, name: str) -> bool:
        """Whether it is an abort that only says that a session came too late there: a point of another location may take its place."""
        parsed = self._judge.envelope(name, data)
        return parsed.kind == "abort" and parsed.clear.get("why") == "lease"

    def _put_point(self, name: str, data: bytes, packs: Sequence[str]) -> bool:
        """False where another copy has to bring it: aborts of a session that came too late come back each time, or a prune came between."""
        removed = False
        for _ in range(_TRIES):
            try:
                if self._put(name, data):
                    return not removed or (not self._given_up(name, data) and self._still_whole(name, data, packs))
                if not self._too_late(self._target.get(name), name):
                    return True
            except ObjectMissing:
                continue
            # All that the point needs lies here and is staged: whoever puts the same point meanwhile does no harm.
            self._target.delete(name)
            removed = True
        return False

    def _given_up(self, name: str, data: bytes) -> bool:
        """Whether a prune gave the point up meanwhile. Then what made way may have been the abort for good that it had just put: the point
        goes again, and such an abort takes its name.
        """
        record = name + names.DROPPED
        try:
            # The record first: it goes only when an abort for good stands in every location.
            under_way = self._held(record) is not None or self._sources.get(record)[0] is not None
            if not under_way and self._for_good(name) is None:
                return False
        except Unreachable:
            self._take_back(name, data)
            raise
        self._take_back(name, data)
        # Only now: where there is none yet, the prune comes here once more, behind what was just removed, and puts its own.
        abort = self._for_good(name)
        if abort is not None:
            self._put(name, abort)
        self._done.left.append(f"{name}: a prune removed it while this copy ran.")
        if self._decided(name):
            self._target.delete(name + names.COMING)
        return True

    def _for_good(self, name: str) -> bytes | None:
        """The abort by which a prune gave the point up, where a source has one."""
        return self._sources.get(name, partial(self._is, name, "abort"))[0]

    def _take_back(self, name: str, data: bytes) -> None:
        """The point that was just put goes again, if it still stands; it stays staged."""
        if self._held(name) == data:
            self._target.delete(name)

    def _still_whole(self, name: str, data: bytes, packs: Sequence[str]) -> bool:
        """Whether the point that was just put may stand. Another copy may have put it between our look at the abort and the removal, and
        have taken away what was staged: for a moment a prune saw neither.
        """
        self._stage(name, data)
        going = self._going()
        if not going.intersection(packs) and self._packs.issuperset(packs):
            return True
        self._take_back(name, data)
        self._done.later.append(f"{name}: a prune of the target is at work on packs that it needs.")
        return False

    def _stage(self, name: str, data: bytes) -> None:
        """From here on a prune of the target sees what the point needs. It may stand there of a copy that was cut off, or is at work."""
        if self._target.head(name + names.COMING) is not None:
            return
        try:
            self._target.put_if_absent(name + names.COMING, [data])
        except ObjectExists:
            return

    def _going(self) -> set[str]:
        """Packs in the target that a prune there is deleting, or may be: what is not pardoned must not be relied on."""
        lists = condemned.read(self._target, cast("Notary", self._judge))
        # Listed after the lists: one goes when its dead are gone, so what is on none and lies here now is deleted by nobody.
        self._packs = {info.name for info in self._target.list(names.PACKS)}
        if lists.unknown:
            return set(self._packs)
        return {names.pack(entry[:16], entry[16:]) for entry in lists.going}

    def _pack(self, lost: dict[str, str], name: str) -> None:
        """``lost`` is told why it could not be brought."""
        data, wrong = self._sources.get(name)
        if data is not None:
            self._put(name, data)
            self._packs.add(name)
            self._progress.advance(len(data))
        else:
            lost[name] = wrong or "it is in no location"

    def _damaged(self) -> None:
        """What a check says of wrong content goes with the pack, whose bytes were copied faithfully. What it says of wrong bytes stays
        where they are: no copy brings them.
        """
        for name in self._sources.list(names.DAMAGED):
            entry = damage.parse(name)
            if entry is not None and self._target.head(names.pack(entry[:16], entry[16:])) is not None:
                data, _ = self._sources.get(name)
                if data is not None and self._judge.check(name, data, "damaged").clear.get("found") == damage.CONTENT:
                    self._put(name, data)

    # ------------------------------------------------------------ logs

    def _logs(self) -> None:
        for system in self._sources.folders(names.LOGS):
            if system in self._without:
                continue
            prefix = f"{names.LOGS}{system}/"
            missing, there = lacking_increments(self._sources.list(prefix).values(), self._target.list(prefix))
            self._done.there += there
            if missing:
                self._progress.phase("copying logs", sum(one.size for one in missing))
            # In order, by few at a time: a copy that is cut off leaves a log that reaches less far, and no hole in it.
            for at in range(0, len(missing), _INCREMENTS):
                self._all(self._one, [one.name for one in missing[at : at + _INCREMENTS]])

    # ------------------------------------------------------------

    def _put(self, name: str, data: bytes) -> bool:
        """False when something stands there."""
        try:
            self._target.put_if_absent(name, [data])
        except ObjectExists:
            self._done.there += 1
            return False
        self._done.objects += 1
        self._done.bytes += len(data)
        return True

    @staticmethod
    def _all(action: Callable[[str], None], wanted: Sequence[str]) -> None:
        """By several threads; the first error is raised when all that began have ended."""
        if len(wanted) < 2:
            for name in wanted:
                action(name)
            return
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="copy") as pool:
            deque(pool.map(action, wanted), maxlen=0)
