"""A report against the vault: what the host's own key could sign anew is not what lies there."""

import json
from typing import TYPE_CHECKING, Any

from holdfast.vault.records.proofs import Proofs

if TYPE_CHECKING:
    from holdfast.vault import Vault


def compared(vault: "Vault", data: bytes) -> tuple[list[str], list[str]]:
    """(what contradicts the report, what could not be compared), in sentences, over all locations. ``data``: a report sound in itself.

    Raises RoleLacking where the key cannot read the journal.
    """
    whole = json.loads(data)
    evidence = whole.get("evidence") or whole["period"]
    if evidence["vault"] != vault.id:
        return [f"The report is of the vault {evidence['vault']}, not of {vault.id}."], []
    wrong: list[str] = []
    open_: list[str] = []
    for storage in vault.locations.storages:
        proofs = Proofs(storage, vault.notary, vault.now)
        differs, lacks = _in(proofs, evidence, data) if "evidence" in whole else _heads(proofs, evidence)
        wrong += [f"{storage.url}: {text}" for text in differs]
        open_ += [f"{storage.url}: {text}" for text in lacks]
    return wrong, open_


def _heads(proofs: Proofs, period: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Of a period's report: the journals that it read, by the last entry of each."""
    wrong: list[str] = []
    lacks: list[str] = []
    for head in period["journal"]["heads"]:
        line = proofs.line(head["chain"], head["n"])
        if line is None:
            lacks.append(f"the entry {head['n']} of the journal {head['chain']} does not lie there")
        elif json.loads(line).get("hash") != head["hash"]:
            wrong.append(f"the entry {head['n']} of the journal {head['chain']} there is another one")
    return wrong, lacks


def _in(proofs: Proofs, evidence: dict[str, Any], data: bytes) -> tuple[list[str], list[str]]:
    chain, number, journal = evidence["journal"]["chain"], evidence["number"], evidence["journal"]
    wrong: list[str] = []
    lacks: list[str] = []
    stored = proofs.report(chain, number)
    if stored is None:
        lacks.append(f"no report {number} of this chain lies there")
    elif stored != data:
        wrong.append(f"report {number} there is another one")
    anchor = evidence["anchor"]
    if anchor is not None:
        found = proofs.anchor(chain, anchor["document"]["n"])
        if not isinstance(found, dict):
            lacks.append(f"no anchor of entry {anchor['document']['n']} lies there")
        elif found.get("anchor") != anchor["document"]:
            wrong.append(f"the anchor of entry {anchor['document']['n']} there is another one")
    copies = {journal["from"] + i: (line, proofs.line(chain, journal["from"] + i)) for i, line in enumerate(journal["lines"])}
    changed = [n for n, (line, copy) in copies.items() if copy is not None and copy != line.encode("ascii")]
    gone = [n for n, (_, copy) in copies.items() if copy is None]
    if changed:
        wrong.append(f"the journal entry {changed[0]} there is another one")
    if gone:
        lacks.append(f"{len(gone)} of {len(copies)} journal entries do not lie there")
    return wrong, lacks
