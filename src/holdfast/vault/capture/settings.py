"""How a session captures."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Settings:
    """``rate`` in bytes read a second; ``workers`` 0: as many as cores, at least 2."""

    system: str
    kind: str
    label: str | None = None
    note: str | None = None
    keep_until: Any = None
    chunk_size: int = 65536
    level: int = 1
    workers: int = 0
    rate: float | None = None
    host: str = ""
    scope: str = "vault"
    """As objects name it; see ``Vault.scope_of``."""
    shard: bool = False
    """It is handed over to another session, which commits."""
