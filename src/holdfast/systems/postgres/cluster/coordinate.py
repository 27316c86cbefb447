"""Where a cluster is now: cheap, and without a lasting connection."""

import contextlib
from collections.abc import Mapping
from typing import Any

from holdfast.systems.postgres import lsn
from holdfast.systems.postgres.capture import session
from holdfast.systems.postgres.cluster import members
from holdfast.systems.postgres.link import connection
from holdfast.systems.postgres.settings import PostgresSettings


def coordinate(settings: PostgresSettings) -> Mapping[str, Any]:
    """{"system_identifier", "timeline", "lsn", "time", "role", "member"} of the primary, else of the freshest standby.

    Raises NoSuitableMember and the other faults of finding a member.
    """
    found = members.discover(settings)
    primary = next((one for one in found if one.role == "primary"), None)
    chosen = primary or members.choose(found, "prefer-standby", float("inf"))
    with contextlib.closing(connection.connect(chosen.dsn, timeout=settings.connect_timeout)) as server:
        now = members.describe(server, chosen.dsn)
        return {
            "system_identifier": now.system_identifier,
            "timeline": session.timeline(server),
            "lsn": lsn.show(now.position),
            "time": session.now(server).isoformat(),
            "role": now.role,
            "member": now.address,
        }
