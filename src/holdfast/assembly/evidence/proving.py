"""What a run proved, as signed evidence; and the journal's head, anchored in the vault's locations."""

import datetime as dt
import functools
import hashlib
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from holdfast.evidence.anchors import Anchor, Anchors, Place
from holdfast.evidence.document import Facts
from holdfast.evidence.issue import Issued, Reports, Run, RunGoesOn, find
from holdfast.evidence.kinds import begins, proves
from holdfast.evidence.roots import Roots
from holdfast.evidence.signing import Signer, certify
from holdfast.evidence.verifier import said
from holdfast.journal import boot
from holdfast.plan.values.cron import parse_schedule

if TYPE_CHECKING:
    from holdfast.assembly.vault.places import Places
    from holdfast.journal import Record
    from holdfast.model import RecoveryPoint
    from holdfast.storage import Storage
    from holdfast.vault import Vault

RHYTHM = parse_schedule("hourly")
"""How often ``due --run`` anchors where the plan says nothing."""


class Prover:
    """Of one platform. ``told`` hears of what did not work: proof never fails what it is about."""

    def __init__(self, platform: "Places", told: Callable[[str], None]) -> None:
        self._platform = platform
        self._told = told
        self.reports = Reports(platform.state_folder / "evidence", platform.journal, platform.host_key)

    # ------------------------------------------------------------ what happens by itself

    def after(self) -> bool:
        """At a command's end: a report for each run of this process that proved something, and an anchor when one is due.

        True when the journal has new entries by it.
        """
        ended = [one for one in self._platform.journal.written if proves(one.kind)]
        for record in ended:
            run = self._run(record)
            if run is not None and self.reports.of(run.id) is None:
                self.report(run)
        if not ended and self._platform.anchoring and self._due():
            self.anchor()
        return bool(ended)

    def _run(self, end: "Record") -> Run | None:
        """The run that ended. One that another process began, and this one resumed, is looked for in the whole journal."""
        head = self._platform.journal.head()
        mine = [one for one in self._platform.journal.written if one.payload.get("run") == end.payload.get("run")]
        if head is not None and begins(mine[0].kind):
            return Run(str(end.payload["run"]), head[0], mine[0], end)
        return find(self._platform.journal, str(end.payload.get("run")))

    def _due(self) -> bool:
        anchors = self._anchors()
        last = anchors.newest() if anchors else None
        schedule = self._platform.plan.document.evidence.anchor or RHYTHM
        return last is None or schedule.next_after(last.at, self._platform.plan.zone) <= self._platform.clock.now()

    # ------------------------------------------------------------ what is asked for

    def anchor(self) -> Anchor | None:
        """The head, in every location of the vaults that were opened.

        None where no vault was, where its key only reads, or without a journal.
        """
        anchors = self._anchors()
        return anchors.anchor() if anchors else None

    def find(self, begin: str) -> Run:
        """Raises RunNotFound."""
        return find(self._platform.journal, begin)

    def report(self, run: Run) -> Issued:
        """The report of a run: the one that was issued, else a new one. Raises RunGoesOn, EvidenceUnwritable, JournalDoubtful."""
        issued = self.reports.of(run.id)
        if issued is None:
            going = self._platform.state.runs.get(run.id) if run.end is None else None
            if going is not None and going.outcome is None:
                raise RunGoesOn(f"The run {run.id} goes on.", hint="See: holdfast jobs", run=run.id)
            anchor = self.anchor()
            covers = anchor is not None and anchor.chain == run.chain
            to = anchor.n if anchor is not None and covers else self._platform.journal.believed(run.chain)[-1].n
            issued = self.reports.issue(run, to, lambda: self._facts(run, anchor if covers else None))
        self._copy(issued)
        return issued

    def _copy(self, issued: Issued) -> None:
        from holdfast.errors import HoldfastError

        for place in self._places():
            try:
                place.holds.put_evidence(issued.chain, issued.number, issued.data)
            except HoldfastError as error:
                self._told(f"The report {issued.number} was not copied into {place.url}: {error.message}")

    # ------------------------------------------------------------ where, by whom

    @functools.cached_property
    def _vault(self) -> "Vault | None":
        """Of those that were opened, the one with most locations and a key that writes."""
        writing = [vault for vault in self._platform.opened() if vault.role != "reader"]
        return max(writing, key=lambda vault: len(vault.locations.storages), default=None)

    def _storages(self) -> "dict[str, tuple[Vault, Storage]]":
        found: dict[str, tuple[Vault, Storage]] = {}
        for vault in self._platform.opened():
            if vault.role != "reader":
                for storage in vault.locations.storages:
                    found.setdefault(storage.url, (vault, storage))
        return found

    def _places(self) -> list[Place]:
        from holdfast.storage.contract import versions_of
        from holdfast.vault.records.proofs import Proofs

        places = []
        for url, (vault, storage) in self._storages().items():
            layer = versions_of(storage)
            locked = layer.locked_until if layer is not None and layer.lock is not None else _never
            places.append(Place(url, Proofs(storage, vault.notary, self._platform.clock.now), locked))
        return places

    @functools.cached_property
    def signer(self) -> Signer:
        """The host's key, with the certificate of the writer as whom the vault is open."""
        from holdfast.vault.records.proofs import encoded, vouch, writer_of

        key, name, vault = self._platform.host_key, socket.gethostname(), self._vault
        if vault is None:
            ids = [one.id for one in self._platform.opened()]
            return Signer(key, name, ids[0] if ids else "")
        writer = writer_of(vault.notary, vault.locations.read)
        Roots(self._platform.journal.folder).remember(vault.id, writer.root.hex())
        certificate = certify(key, name, vault.id, writer.id, lambda message: vouch(vault.notary, message), self._platform.clock.now())
        return Signer(key, name, vault.id, certificate, encoded(writer))

    def _anchors(self) -> Anchors | None:
        from holdfast.evidence.stamps import stamp

        if self._vault is None:
            return None
        base = self._platform.plan.path.parent
        stamps = {one.url: functools.partial(stamp, one.url, base / one.ca) for one in self._platform.plan.document.evidence.timestamp}
        return Anchors(
            self._platform.journal,
            self.signer,
            self._places(),
            self._platform.clock,
            stamps=stamps,
            told=self._told,
        )

    # ------------------------------------------------------------ what a report says besides

    def moment(self) -> dict[str, Any]:
        """Now, by both clocks."""
        clock = self._platform.clock
        now = clock.now().astimezone(dt.UTC)
        return {"at": now.isoformat(timespec="microseconds"), "boot": boot(), "mono": round(clock.monotonic(), 6)}

    def _facts(self, run: Run, anchor: Anchor | None) -> Facts:
        return Facts(
            vault=self.signer.vault,
            platform=self._platform.plan.platform,
            host={"name": self.signer.name, "chain": run.chain, "key": self.signer.key.id},
            signer=self.signer.block(),
            anchor=None if anchor is None else anchor.to_json(),
            issued=self.moment(),
            backup=self._backup(run),
            history=self._history(run),
        )

    def _backup(self, run: Run) -> dict[str, Any] | None:
        """The recovery point that the run was about, as the vault has it. Of a drill of several systems the oldest one, and all of them."""
        from holdfast.errors import HoldfastError

        ended: Mapping[str, Any] = said(run.end.payload) if run.end else {}
        wanted: dict[str, str | None] = dict.fromkeys(map(str, (ended.get("points") or {}).values()))
        if single := ended.get("point") or (ended.get("reached") or {}).get("point"):
            wanted = {str(single): None}
        if not wanted or self._vault is None:
            return None
        try:
            known = {point.id: point for point in self._vault.points() if point.id in wanted}
            found = [self._point(known[one], run) if one in known else {"id": one, "found": False} for one in wanted]
        except HoldfastError as error:
            return {"id": next(iter(wanted)), "found": False, "reason": error.message}
        oldest = min(found, key=lambda one: str(one.get("committed_at", "")))
        return oldest if len(found) == 1 else {**oldest, "points": found}

    def _point(self, point: "RecoveryPoint", run: Run) -> dict[str, Any]:
        assert self._vault is not None
        locations = self._vault.locations
        name = f"points/{point.id}"
        return {
            "id": point.id,
            "found": True,
            "system": point.system,
            "sha256": hashlib.sha256(locations.get(name)).hexdigest(),
            "method": point.method,
            "label": point.label,
            "committed_at": point.committed_at.isoformat(),
            "age_seconds": round(max((_lost_at(run) - point.committed_at).total_seconds(), 0.0), 3),
            "encryption": "AES-256-GCM; the point is signed (Ed25519)",
            "locations": [storage.url for storage in locations.storages if storage.head(name) is not None],
            "writer": point.writer,
            "bytes": point.totals.bytes,
        }

    def _history(self, run: Run) -> dict[str, Any]:
        """How the promise of the run's system was kept so far, this run included."""
        from holdfast.protection.confidence import kept
        from holdfast.protection.measured import losses, rehearsals, returns

        name = run.start.payload.get("system")
        promise = (run.start.payload.get("context") or {}).get("promise") or {}
        found: dict[str, Any] = {}
        begun = said(run.start.payload)
        if run.verb == "drill" and (begun.get("objectives") or {}).get("rto"):
            found["rto"] = kept(rehearsals(self._platform.state, begun), float(begun["objectives"]["rto"])).to_json()
        if isinstance(name, str) and promise.get("rto") is not None:
            found["rto"] = kept(returns(self._platform.state, name), float(promise["rto"])).to_json()
        if isinstance(name, str) and promise.get("rpo"):
            found["rpo"] = kept(losses(self._platform.state, name), float(min(promise["rpo"].values()))).to_json()
        return found


def _lost_at(run: Run) -> dt.datetime:
    """Until when a point was getting older: the disaster, where the run rehearsed one and says when, else the run's beginning."""
    scenario = said(run.start.payload).get("scenario")
    try:
        happened = dt.datetime.fromisoformat(str(scenario["happened"])) if isinstance(scenario, Mapping) else None
    except (KeyError, ValueError):
        happened = None
    return happened if happened is not None and happened.tzinfo is not None else run.start.at


def _never(_: str) -> dt.datetime | None:
    return None
