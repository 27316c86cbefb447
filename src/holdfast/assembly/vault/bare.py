"""A vault opened by its address alone, on a machine that knows no plan."""

import json
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.assembly.host import cache_directory
from holdfast.model import Clock, RecoveryPoint

if TYPE_CHECKING:
    from holdfast.vault import Vault


def bare_vault(url: str, key: str, *, endpoint: str | None, clock: Clock, environ: Mapping[str, str] | None = None) -> "Vault":
    """A vault opened by its address alone; ``key`` names the environment variable that holds the key."""
    from holdfast.connect.secrets import resolve
    from holdfast.plan import SecretRef
    from holdfast.storage.open import open_storage
    from holdfast.vault import Vault
    from holdfast.vault.lock.asof import as_of

    # Whoever deleted and overwrote what he could left the versions below: they are what counts.
    storage = open_storage(url, {"versions": True, **({"endpoint": endpoint} if endpoint else {})}, clock=clock)
    secret = resolve(SecretRef(env=key))
    known = os.environ if environ is None else environ
    return Vault.open(as_of([storage], known.get("HOLDFAST_KEYRING")), secret, clock=clock, cache=cache_directory(known))


def stored_plan(vault: "Vault", url: str, key: str, *, endpoint: str | None, suites: Collection[str] = ()) -> tuple[str | None, list[str]]:
    """(the newest plan that lies in the vault, as text turned towards this one location; what was wrong with newer ones). ``suites``: the
    places beside it of the suites that came with it.

    None when the vault holds none, or none that this version understands.
    """
    from holdfast.plan.portable import relocated_text
    from holdfast.storage import versions_of
    from holdfast.vault.records.copies import newest_plan

    text, wrong = newest_plan(vault.locations.first, vault.notary)
    if text is None:
        return None, wrong
    address = url if "://" in url else f"file://{Path(url).absolute()}"
    versions = versions_of(vault.locations.first) is not None
    written, problem = relocated_text(text, address, key, endpoint, versions=versions, suites=suites)
    return written, [*wrong, *([problem] if problem else [])]


def bare_plan(url: str, key: str, *, endpoint: str | None, points: Sequence[RecoveryPoint], versions: bool = False) -> str:
    """The text of a plan that knows one vault and the systems in it, so that every command works on an empty machine."""
    address = url if "://" in url else f"file://{url}"
    more = (f", endpoint: {json.dumps(endpoint)}" if endpoint else "") + (", versions: true" if versions else "")
    lines = [
        "# Written from the vault alone: enough to list, restore and verify. Protecting goes on with the platform's own plan.",
        "platform: recovered",
        f"vault:\n  key: {{env: {key}}}\n  locations:\n    - {{name: vault, url: {json.dumps(address)}{more}}}",
        "systems:" if points else "systems: {}",
    ]
    newest = {(point.system, point.kind): point for point in sorted(points, key=lambda point: point.committed_at)}
    for (system, kind), point in sorted(newest.items()):
        lines.append(f"  {system}: {{kind: {kind}, backup: daily, keep: {{last: 1000000}}, {_source(system, kind, point.facts)}}}")
    return "\n".join(lines) + "\n"


def _source(system: str, kind: str, facts: Mapping[str, Any]) -> str:
    """What a system was taken from, as far as a point tells it; a plan names it, a restore does not need it."""
    if kind == "files":
        told = {
            "paths": list(facts.get("roots", ())),
            "git": [one["url"] for one in facts.get("git", {}).values()],
            "images": list(facts.get("images", ())),
        }
        return ", ".join(f"{key}: {json.dumps(values)}" for key, values in told.items() if values) or 'paths: ["/nonexistent"]'
    if kind == "bucket":
        named: dict[str, Any] = {name: facts.get(name) for name in ("url", "prefixes", "versions")}
        return ", ".join(f"{key}: {json.dumps(value)}" for key, value in named.items() if value) or 'url: "file:///nonexistent"'
    if kind == "delta":
        url = str(facts.get("url") or "/nonexistent")
        return f"url: {json.dumps(url if '://' in url else 'file://' + url)}"
    variable = "".join(letter if letter.isalnum() else "_" for letter in system).upper() + "_DSN"
    return f"dsn: {{env: {variable}}}"
