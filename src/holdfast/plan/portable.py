"""A plan as text that travels with the data, and the one found there turned towards the location in which it was found."""

import copy
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from holdfast.plan.beside import beside
from holdfast.plan.digest import NOT_MEANING
from holdfast.plan.loader import examine

_HEAD = "# The plan as it was stored in the vault, turned to this one location. Other locations and what they promise are left out.\n"


def as_text(merged: Mapping[str, Any]) -> str:
    """What the plan says, as YAML: all files merged, variables filled in. It names secrets, and holds none."""
    return yaml.safe_dump({name: value for name, value in merged.items() if name not in NOT_MEANING}, sort_keys=False, allow_unicode=True)


def relocated_text(
    text: str, url: str, key: str, endpoint: str | None = None, *, versions: bool = False, suites: Collection[str] = ()
) -> tuple[str | None, str | None]:
    """(``as_text`` of what ``relocated`` makes of it, None when that is no plan this version understands; why not)."""
    try:
        written = _HEAD + as_text(relocated(yaml.safe_load(text), url, key, endpoint, versions=versions, suites=suites))
    except (yaml.YAMLError, TypeError, AttributeError, ValueError) as error:
        return None, f"The plan in the vault is no plan: {error}"
    with tempfile.TemporaryDirectory() as folder:
        trial = Path(folder) / "holdfast.yaml"
        trial.write_text(written, encoding="utf-8")
        plan, problems = examine(trial)
    if plan is None:
        first = next(problem.message for problem in problems if problem.severity == "error")
        return None, f"The plan in the vault does not fit this version of Holdfast: {first}"
    return written, None


def relocated(
    merged: Mapping[str, Any],
    url: str,
    key: str,
    endpoint: str | None = None,
    *,
    versions: bool = False,
    suites: Collection[str] = (),
) -> dict[str, Any]:
    """The merged plan with one location at ``url``, opened by the environment variable ``key``. ``versions``: its bucket keeps some.
    ``suites``: places beside it of suites that came along: it names them there.

    It keeps the name and settings of the plan's location of that address, else of its first one. References to other locations go, and
    with them what they promise: an empty machine reaches only this one.
    """
    document: dict[str, Any] = copy.deepcopy({name: value for name, value in merged.items() if name not in NOT_MEANING})
    vault = document.setdefault("vault", {})
    places = [place for place in vault.get("locations") or () if isinstance(place, dict)]
    plain = [str(place.get("url", "")).rstrip("/") for place in places]
    same = url.rstrip("/") in plain
    chosen = places[plain.index(url.rstrip("/"))] if same else places[0] if places else {"name": "vault"}
    kept = ("name", "failure_domain", "region", "path_style", "lock") if same else ("name", "failure_domain")
    chosen = {name: value for name, value in chosen.items() if name in kept} | {"url": url}
    if endpoint:
        chosen["endpoint"] = endpoint
    if versions:
        chosen["versions"] = True
    vault["key"], vault["locations"] = {"env": key}, [chosen]
    name = str(chosen.get("name"))
    for promise in (*_each(document.get("defaults")), *_each(document.get("tiers")), *_each(document.get("systems"))):
        if isinstance(promise, dict):
            _turn(promise, name)
    for system in (*_each(document.get("defaults")), *_each(document.get("systems"))):
        if isinstance(system, dict):
            checks = system.get("checks")
            for holder, what in ((system, "expectations"), *((one, "suite") for one in checks or () if isinstance(checks, list))):
                written = holder.get(what) if isinstance(holder, dict) else None
                if isinstance(written, str) and any(one == beside(written) or one.startswith(beside(written) + "/") for one in suites):
                    holder[what] = beside(written)
    return document


def _each(group: Any) -> list[Any]:
    return list(group.values()) if isinstance(group, dict) else []


def _turn(promise: dict[str, Any], name: str) -> None:
    if "locations" in promise:
        promise["locations"] = [name]
    if "min_copies" in promise:
        promise["min_copies"] = 1
    rpo = promise.get("rpo")
    if isinstance(rpo, dict):
        if name in rpo:
            promise["rpo"] = {name: rpo[name]}
        else:
            del promise["rpo"]
