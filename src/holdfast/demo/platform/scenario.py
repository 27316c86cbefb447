"""What is rehearsed: fixed before it begins, so that nobody bends the measure afterwards."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from holdfast.demo.platform.production import PROMISES, SYSTEMS
from holdfast.demo.platform.recovery import PLAYED, ROLES
from holdfast.evidence.drilled import Begun

SCENARIO = {
    "name": "platform-lost",
    "title": "The platform's machine is lost, with one of the vault's two locations",
    "text": "At an unannounced moment the machine that runs the database, the lake, the bucket and the application is gone, and with it the"
    " plan, the state, the journal and the location onsite. An empty machine, the address of the location offsite and the recovery key"
    " are left. The platform is built anew there and handed over to its clients.",
}
CRITERIA = (
    "the sentinel that was written for this drill comes back in every system",
    "every row of every table, every object and every file is as the ledger outside the platform says",
    "no consumer stands ahead of what it consumes, nothing is missing in between, nothing is there twice",
    "the recovery point objective of the database is kept, counted in acknowledged orders",
    "the recovery time objective is kept, from the declaration until clients' new orders arrive",
    "a person other than who asked approves the restore and accepts the recovery",
    "everything that the drill made is removed, and it is proved",
)


def agreed() -> str:
    """SHA-256 of the scenario, the criteria and the promises: what must not change once the disaster has happened."""
    return hashlib.sha256(json.dumps([SCENARIO, CRITERIA, PROMISES], sort_keys=True).encode()).hexdigest()


def begun(
    promised: Mapping[str, Any], ledger: str, orders: int, looks: int, lost: Mapping[str, Any], happened: str, fixed: Mapping[str, Any]
) -> Begun:
    """For ``drill.start``. ``ledger``: SHA-256 of the acknowledged orders, kept outside; ``looks``: how often the platform was seen
    healthy. ``fixed``: what the lost host's journal says of ``agreed``, read out of the vault: ``{"criteria", "at", "journal", "entry"}``.
    """
    rpo, rto = PROMISES["orders-db"]
    digest = hashlib.sha256(json.dumps(SCENARIO, sort_keys=True).encode()).hexdigest()
    return Begun(
        "full",
        {
            **SCENARIO,
            "hash": digest,
            "fixed": dict(fixed),
            "happened": happened,
            "disaster": dict(lost),
            "steady_state": f"{looks} looks in a row found the shop healthy",
        },
        SYSTEMS,
        {
            "rto": float(rto),
            "rpo": float(rpo),
            "systems": dict(promised),
            "words": f"the platform serves its clients again {rto} s after the declaration; of the orders that were acknowledged at most"
            f" the last {rpo} s are lost",
            "measure": {"ledger": ledger, "orders": orders},
        },
        CRITERIA,
        [
            {"name": "the schedulers and dashboards of a real platform", "reason": "this platform has none"},
            {"name": "waking people at night", "reason": "the people of this drill are played by the demonstration"},
        ],
        [{"name": name, "role": role, "played_by": PLAYED} for name, role in ROLES.items()],
    )
