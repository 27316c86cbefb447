"""Which vaults' roots this host has worked with: whom it believes when it checks evidence offline."""

import contextlib
import json
import os
from pathlib import Path


class Roots:
    """``roots.json`` beside the journal: vault id → the root's public key, both in hex; not secret. The first one seen stays."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "roots.json"

    def all(self) -> dict[str, str]:
        """Empty when there is none, or nothing that can be read."""
        with contextlib.suppress(OSError, ValueError):
            found = json.loads(self._path.read_text(encoding="utf-8"))
            if isinstance(found, dict):
                return {str(vault): str(root) for vault, root in found.items()}
        return {}

    def remember(self, vault: str, root: str) -> None:
        """Never raises: without a place to remember in, a check asks for --root."""
        known = self.all()
        if vault in known:
            return
        temporary = self._path.with_name(f".roots.{os.getpid()}")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            temporary.write_text(json.dumps({**known, vault: root}, sort_keys=True), encoding="utf-8")
            temporary.replace(self._path)
