"""A period's report as a signed file: what the host saw, over the heads of the journals that it read."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast.evidence.issue import JournalDoubtful
from holdfast.evidence.signing import Signer
from holdfast.evidence.verifier import PERIOD, verify
from holdfast.journal import Record, canonical

NOTED = "evidence.period"


@dataclass(frozen=True, slots=True)
class IssuedPeriod:
    """``data``: canonical JSON and a newline, ``{"period": {…}, "signature"}``."""

    data: bytes

    @property
    def document(self) -> dict[str, Any]:
        """What was signed."""
        found: dict[str, Any] = json.loads(self.data)["period"]
        return found

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def sign_period(
    document: Mapping[str, Any],
    signer: Signer,
    chain: str,
    heads: Mapping[str, Record],
    anchor: Mapping[str, Any] | None,
    issued: Mapping[str, Any],
) -> IssuedPeriod:
    """``heads``: the newest entry of each journal that was read, by chain, that of ``chain`` (this host's) as it was anchored.

    Raises JournalDoubtful for what would not pass its own check.
    """
    body = {
        **document,
        "issued": dict(issued),
        "host": {"name": signer.name, "chain": chain, "key": signer.key.id},
        "vault": signer.vault,
        "journal": {"chain": chain, "heads": [{"chain": tag, "n": one.n, "hash": one.hash} for tag, one in sorted(heads.items())]},
        "anchor": None if anchor is None else dict(anchor),
        "signer": signer.block(),
    }
    made = IssuedPeriod(canonical({"period": body, "signature": signer.key.sign(PERIOD, body)}) + b"\n")
    verdict = verify(made.data, {signer.key.public})
    if verdict.state != "sound":
        raise JournalDoubtful(
            f"The report of {document['period']['name']} would not pass its own check: {'; '.join(verdict.problems)}",
            hint="Look at the journal: holdfast log",
        )
    return made
