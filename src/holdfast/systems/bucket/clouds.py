"""What Google's and Azure's buckets are set to, and what of it works against the plan. What cannot be asked is told as such."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from holdfast.connect.objects import Objects, StoreDenied, StoreUnreachable
from holdfast.systems.bucket.settings import BucketSettings
from holdfast.systems.bucket.watch import Rule, taken_away
from holdfast.systems.contract import Probe

if TYPE_CHECKING:
    from holdfast.connect.objects.azure.store import AzureObjects
    from holdfast.connect.objects.google.store import GoogleObjects

_LATER = frozenset({"isLive", "numNewerVersions", "daysSinceNoncurrentTime", "noncurrentTimeBefore"})
"""Conditions that only older generations meet."""


def google(settings: BucketSettings, store: Objects) -> Sequence[Probe]:
    """Of a bucket of Google Cloud Storage."""
    try:
        told = cast("GoogleObjects", store).settings()
    except StoreDenied as error:
        return [Probe("settings", "warn", "these credentials may not ask for them", f"Allow storage.buckets.get: {error.message}")]
    except StoreUnreachable as error:
        return [Probe("settings", "warn", f"could not be found out: {error}", "")]
    return [*_versioning(settings, told), *taken_away(settings, list(rules(told))), *_google(told)]


def _versioning(settings: BucketSettings, told: Mapping[str, Any]) -> Iterator[Probe]:
    if (told.get("versioning") or {}).get("enabled"):
        yield _kept(settings)
        return
    yield _lost(settings, "off", "Turn object versioning on")
    soft = int((told.get("softDeletePolicy") or {}).get("retentionDurationSeconds") or 0)
    if soft:
        yield Probe("soft delete", "ok", f"what is removed can be brought back there for {_span(soft)}; no point holds it")


def _kept(settings: BucketSettings) -> Probe:
    what = "every version" if settings.versions == "all" else "what is current alone (versions: all takes the others as well)"
    return Probe("versioning", "ok", f"on; the points hold {what}")


def _lost(settings: BucketSettings, state: str, hint: str) -> Probe:
    asked = ", and the plan asks for all versions" if settings.versions == "all" else ""
    more = ", or say versions: current." if asked else "."
    return Probe("versioning", "warn", f"{state}{asked}: what is overwritten between two points is lost", hint + more)


def rules(told: Mapping[str, Any]) -> Iterator[Rule]:
    """Those of a lifecycle that delete. What a rule moves to another class is still read at once."""
    for number, one in enumerate((told.get("lifecycle") or {}).get("rule") or (), 1):
        when = one.get("condition") or {}
        if (one.get("action") or {}).get("type") != "Delete":
            continue
        older = bool(_LATER & when.keys()) and when.get("isLive") is not True
        days = when.get("daysSinceNoncurrentTime" if older and "age" not in when else "age")
        for prefix in when.get("matchesPrefix") or ("",):
            yield Rule(str(number), str(prefix), "remove" if older else "expire", int(days) if days is not None else None)


def _google(told: Mapping[str, Any]) -> Iterator[Probe]:
    retention = told.get("retentionPolicy") or {}
    if retention:
        locked = ", locked" if retention.get("isLocked") else ""
        text = f"nothing may be overwritten or removed for {_span(int(retention.get('retentionPeriod') or 0))}{locked}"
        yield Probe("retention", "ok", f"{text}; holds and terms of objects are not in the points")
    if (told.get("billing") or {}).get("requesterPays"):
        yield Probe("requester pays", "warn", "on: requests that name no project to be billed are refused", "Turn it off for this bucket.")
    if (told.get("hierarchicalNamespace") or {}).get("enabled"):
        yield Probe("folders", "ok", "the bucket has folders of its own; those that are empty are no objects and not in the points")


def azure(settings: BucketSettings, store: Objects) -> Sequence[Probe]:
    """Of a container of Azure Blob Storage. The account's management, which these credentials cannot ask, holds the rest."""
    container = cast("AzureObjects", store)
    found: list[Probe] = []
    for name, look in (("versioning", _azure_versions), ("soft delete", _azure_soft), ("retention", _azure_retention)):
        try:
            found += look(settings, container)
        except StoreDenied as error:
            found.append(Probe(name, "warn", "these credentials may not ask for it", f"Allow it to be read: {error.message}"))
        except StoreUnreachable as error:
            found.append(Probe(name, "warn", f"could not be found out: {error}", ""))
    hint = "Look there for rules that delete or archive sooner than the next point is taken."
    return [*found, Probe("lifecycle", "warn", "its rules stand in the account's management and cannot be asked for here", hint)]


def _azure_versions(settings: BucketSettings, store: "AzureObjects") -> Iterator[Probe]:
    blobs = store.blobs()
    current = [one for one in blobs if one.current]
    newest = max(current, key=lambda one: one.modified_ns, default=None)
    if newest is not None and newest.version:
        yield _kept(settings)
        if settings.versions == "all":
            yield Probe(
                "deletions", "ok", "Azure does not tell when a blob was deleted: at a moment before a point it counts as still there"
            )
    else:
        yield _lost(settings, "not seen by the newest blobs", "Turn blob versioning on")
    other = sum(one.kind not in ("BlockBlob", "") for one in current)
    if other:
        yield Probe(
            "blob types", "ok", f"{other} of {len(current)} that were looked at are page or append blobs; they come back as block blobs"
        )
    archived = sum(one.tier == "Archive" for one in current)
    if archived:
        yield Probe(
            "tiers", "warn", f"{archived} of {len(current)} that were looked at are archived and cannot be read", "Bring them back first."
        )


def _azure_soft(settings: BucketSettings, store: "AzureObjects") -> Iterator[Probe]:
    del settings
    policy = store.service().find("DeleteRetentionPolicy")
    if policy is not None and policy.findtext("Enabled") == "true":
        days = policy.findtext("Days") or "some"
        yield Probe("soft delete", "ok", f"what is removed can be brought back there for {days} days; no point holds it")


def _azure_retention(settings: BucketSettings, store: "AzureObjects") -> Iterator[Probe]:
    del settings
    told = store.settings()
    kept = [name for name in ("immutability-policy", "legal-hold") if told.get(f"x-ms-has-{name}") == "true"]
    if kept:
        yield Probe(
            "retention", "ok", f"the container has {' and '.join(kept)}: what is there may not be overwritten; it is not in the points"
        )


def _span(seconds: int) -> str:
    return f"{seconds // 86400} days" if seconds >= 86400 else str(dt.timedelta(seconds=seconds))
