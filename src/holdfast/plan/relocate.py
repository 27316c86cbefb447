"""A plan that was found beside the data, turned towards the one location in which it was found."""

import copy
from collections.abc import Mapping
from typing import Any


def relocated(merged: Mapping[str, Any], url: str, key: str, endpoint: str | None = None) -> dict[str, Any]:
    """The merged plan with one location at ``url``, opened by the environment variable ``key``.

    It keeps the name and settings of the plan's location of that address, else of its first one. References to other locations go, and
    with them what they promise: an empty machine reaches only this one.
    """
    document: dict[str, Any] = copy.deepcopy({name: value for name, value in merged.items() if name not in ("include", "vars")})
    vault = document.setdefault("vault", {})
    places = [place for place in vault.get("locations") or () if isinstance(place, dict)]
    plain = [str(place.get("url", "")).rstrip("/") for place in places]
    same = url.rstrip("/") in plain
    chosen = places[plain.index(url.rstrip("/"))] if same else places[0] if places else {"name": "vault"}
    kept = ("name", "failure_domain", "region", "path_style", "lock") if same else ("name", "failure_domain")
    chosen = {name: value for name, value in chosen.items() if name in kept} | {"url": url}
    if endpoint:
        chosen["endpoint"] = endpoint
    vault["key"], vault["locations"] = {"env": key}, [chosen]
    name = str(chosen.get("name"))
    for promise in (*_each(document.get("defaults")), *_each(document.get("tiers")), *_each(document.get("systems"))):
        if isinstance(promise, dict):
            _turn(promise, name)
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
