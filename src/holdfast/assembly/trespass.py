"""Whether a restore goes where the plan protects something: what it writes there is in nobody's way yet, and in the next backup."""

import os
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from holdfast.plan import Plan, SystemSpec
from holdfast.systems.contract import RestorePlan


class _Ground(NamedTuple):
    """``store``: a scheme and endpoint, or this machine's files; ``path``: beginnings of what lies there."""

    store: str
    path: str

    def touches(self, other: "_Ground") -> bool:
        return self.store == other.store and (self.path.startswith(other.path) or other.path.startswith(self.path))


def trespasses(plan: Plan, name: str, into: str, made: RestorePlan) -> list[str]:
    """Sentences about what of the plan lies at the target ``into`` of a restore of the system ``name``; empty where nothing does.

    A bucket's own address counts. Tables may be restored beside the damaged ones, and files to their own places; what two systems protect
    both by the plan is its author's affair.
    """
    spec = plan.effective(name).spec
    own = list(_protected(plan, name))
    targets = list(_targets(into, spec, made))
    found = []
    if spec.kind == "bucket" and any(one.touches(other) for one in targets for other in own):
        found.append(
            f"{into} is what {name} itself protects: objects of today are overwritten there, and the next backup holds what is written"
        )
    elif spec.kind == "files" and into.rstrip("/") and any(_inside(plan, name, one) for one in targets):
        found.append(f"{into} lies in what {name} itself protects: its next backup holds the restored copy, too")
    for other in plan.systems:
        theirs = list(_protected(plan, other))
        if other == name or any(one.touches(each) for one in own for each in theirs):
            continue
        hit = (
            _inside(plan, other, *targets)
            if plan.effective(other).kind == "files"
            else any(one.touches(each) for one in targets for each in theirs)
        )
        if hit:
            found.append(f"{into} is among what {other} protects: its next backup holds what is written there")
    return found


def _targets(into: str, spec: SystemSpec, made: RestorePlan) -> Iterator[_Ground]:
    roots = made.point.facts.get("roots") if made.kind == "files" else None
    if isinstance(roots, dict):
        for root in roots:
            yield _local(f"{into.rstrip('/')}/{str(root).lstrip('/')}")
    elif "://" in into:
        yield _remote(into, spec)
    else:
        yield _local(into)


def _protected(plan: Plan, name: str) -> Iterator[_Ground]:
    spec = plan.effective(name).spec
    if spec.kind == "files":
        for path in getattr(spec, "paths", None) or ():
            yield _local(str(plan.resolve(path)))
    elif spec.kind in ("bucket", "delta") and getattr(spec, "url", None):
        ground = _remote(str(getattr(spec, "url", "")), spec)
        for prefix in getattr(spec, "prefixes", None) or ("",):
            yield _Ground(ground.store, ground.path + prefix)


def _inside(plan: Plan, name: str, *targets: _Ground) -> bool:
    """Whether a backup of a system of files would read what is written to one of the targets, or loses what stands there."""
    from holdfast.assembly.systems.files import folders
    from holdfast.systems.files.circle import reads

    settings = folders(plan, plan.effective(name))
    local = [one.path.rstrip("/") or "/" for one in targets if not one.store]
    return any(reads(settings, one) for one in local) or any(
        one.touches(each) and each.path.startswith(one.path) for one in targets for each in _protected(plan, name)
    )


def _local(path: str) -> _Ground:
    return _Ground("", os.path.realpath(path).rstrip("/") + "/")


def _remote(url: str, spec: SystemSpec) -> _Ground:
    parts = urlsplit(url)
    if parts.scheme in ("", "file"):
        return _local(unquote(parts.path) if parts.scheme else url)
    scheme = {"s3a": "s3", "s3n": "s3"}.get(parts.scheme, parts.scheme)
    own = urlsplit(str(getattr(spec, "url", None) or url)).scheme
    endpoint = str(getattr(spec, "endpoint", None) or "") if {"s3a": "s3", "s3n": "s3"}.get(own, own) == scheme else ""
    return _Ground(f"{scheme} {endpoint.rstrip('/')}", f"{parts.netloc}{parts.path}".rstrip("/") + "/")
