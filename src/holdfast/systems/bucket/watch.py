"""What a bucket is set to, and what of it works against the plan: versioning, lifecycle, replication, object lock."""

import datetime as dt
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from holdfast.connect.objects import Objects, StoreDenied, StoreUnreachable
from holdfast.connect.objects.xml import NoXml, parse
from holdfast.model import counted
from holdfast.systems.bucket.settings import BucketSettings
from holdfast.systems.contract import Probe

_SAMPLES = 20
_ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})


@dataclass(frozen=True, slots=True)
class Rule:
    """Of a lifecycle. ``acts``: ``expire`` what is current, ``remove`` older versions, ``archive``. ``days`` None: on a date. ``only``:
    what else an object must have for it, in words.
    """

    id: str
    prefix: str
    acts: str
    days: int | None
    only: str = ""


def watch(settings: BucketSettings, store: Objects) -> Sequence[Probe]:
    """Of an S3 bucket. What these credentials may not ask is told as such."""
    return [
        *_asked(store, "versioning", lambda root: _versioning(settings, root)),
        *_asked(store, "lifecycle", lambda root: _lifecycle(settings, root)),
        *_asked(store, "replication", lambda root: _replication(settings, store, root)),
        *_asked(store, "object-lock", _lock),
    ]


def versioned(store: Objects) -> bool:
    """Whether what is overwritten or removed now stays as a version. Raises StoreDenied: these credentials may not ask."""
    keeps = getattr(store, "keeps_versions", None)
    if keeps is not None:
        return bool(keeps())
    setting = getattr(store, "setting", None)
    found = setting("versioning") if setting is not None else None
    return bool(found) and parse(found or b"").findtext("Status") == "Enabled"


def _asked(store: Objects, name: str, judge: Callable[[ET.Element | None], Iterable[Probe]]) -> Sequence[Probe]:
    try:
        found = store.setting(name)  # type: ignore[attr-defined]
        return list(judge(parse(found) if found else None))
    except StoreDenied as error:
        if error.details.get("said") in ("NotImplemented", "MethodNotAllowed"):
            return [Probe(name, "warn", "the store does not tell", "")]
        return [Probe(name, "warn", "these credentials may not ask for it", f"Allow it to be read: {error.message}")]
    except (StoreUnreachable, NoXml) as error:
        return [Probe(name, "warn", f"could not be found out: {error}", "")]


def _versioning(settings: BucketSettings, root: ET.Element | None) -> Iterator[Probe]:
    state = (root.findtext("Status") if root is not None else None) or ""
    if state == "Enabled":
        what = "every version" if settings.versions == "all" else "what is current alone (versions: all takes the others as well)"
        yield Probe("versioning", "ok", f"on; the points hold {what}")
    elif settings.versions == "all":
        detail = f"{state.lower() or 'off'}, and the plan asks for all versions: what is overwritten between two points is lost"
        yield Probe("versioning", "warn", detail, "Turn versioning on, or say versions: current.")
    else:
        yield Probe(
            "versioning", "warn", f"{state.lower() or 'off'}: what is overwritten between two points is lost", "Turn versioning on."
        )


def rules(root: ET.Element) -> Iterator[Rule]:
    """Those of a lifecycle that are enabled and take something away."""
    for one in root.iter("Rule"):
        if one.findtext("Status") != "Enabled":
            continue
        name = one.findtext("ID") or "(without a name)"
        prefix = one.findtext("Filter/Prefix") or one.findtext("Filter/And/Prefix") or one.findtext("Prefix") or ""
        only = _only(one)
        expire = one.find("Expiration")
        if expire is not None and (expire.find("Days") is not None or expire.find("Date") is not None):
            yield Rule(name, prefix, "expire", _number(expire.findtext("Days")), only)
        older = one.find("NoncurrentVersionExpiration")
        if older is not None:
            newest = older.findtext("NewerNoncurrentVersions")
            kept = f", all but the newest {newest}" if newest else ""
            yield Rule(name, prefix, "remove", _number(older.findtext("NoncurrentDays")), only + kept)
        for moved in (*one.iter("Transition"), *one.iter("NoncurrentVersionTransition")):
            if moved.findtext("StorageClass") in _ARCHIVES:
                yield Rule(name, prefix, "archive", _number(moved.findtext("Days") or moved.findtext("NoncurrentDays")), only)


def _only(rule: ET.Element) -> str:
    tags = [f"{tag.findtext('Key')}={tag.findtext('Value') or ''}" for tag in rule.iter("Tag")]
    found = [f", tagged {' and '.join(tags)}"] if tags else []
    for name, words in (("ObjectSizeGreaterThan", "larger than"), ("ObjectSizeLessThan", "smaller than")):
        size = next((one.text for one in rule.iter(name)), None)
        found += [f", {words} {size} bytes"] if size else []
    return "".join(found)


def _lifecycle(settings: BucketSettings, root: ET.Element | None) -> Iterator[Probe]:
    yield from taken_away(settings, list(rules(root)) if root is not None else [])


def taken_away(settings: BucketSettings, found: Sequence[Rule]) -> Iterator[Probe]:
    """What the rules of a lifecycle mean for the plan."""
    here = [rule for rule in found if any(rule.prefix.startswith(one) or one.startswith(rule.prefix) for one in settings.whole_prefixes())]
    if not here:
        yield Probe("lifecycle", "ok", "no rule takes away what the plan protects")
    for rule in here:
        when = f"after {counted(rule.days, 'day')}" if rule.days is not None else "on a date"
        where = (f"below {rule.prefix}" if rule.prefix else "everywhere") + rule.only + ("," if rule.only else "")
        name = f"lifecycle rule {rule.id}"
        if rule.acts == "archive":
            detail = f"archives {where} {when}: archived objects cannot be read, and only what was captured before is in later points"
            yield Probe(name, "warn", detail, "See to it that a point is taken before.")
        elif rule.acts == "remove" and settings.versions != "all":
            yield Probe(name, "ok", f"removes older versions {where} {when}; the points do not hold these")
        else:
            yield _taken(settings, rule, name, where, when)


def _taken(settings: BucketSettings, rule: Rule, name: str, where: str, when: str) -> Probe:
    what = "removes older versions" if rule.acts == "remove" else "deletes objects"
    gap = settings.gap
    if rule.days is not None and gap is not None and dt.timedelta(days=rule.days) <= gap:
        detail = f"{what} {where} {when}, and up to {_span(gap)} lie between two points: some are never in any"
        return Probe(name, "fail", detail, "Take points more often than that, or change the rule.")
    if rule.acts == "remove":
        return Probe(name, "ok", f"{what} {where} {when}; points taken until then keep them")
    return Probe(name, "warn", f"{what} {where} {when}; they stay in the points taken until then alone", "Keep these points long enough.")


def _replication(settings: BucketSettings, store: Objects, root: ET.Element | None) -> Iterator[Probe]:
    enabled = [one for one in root.iter("Rule") if one.findtext("Status") == "Enabled"] if root is not None else []
    if not enabled:
        yield Probe("replication", "ok", "no rule")
        return
    to = sorted({(one.findtext("Destination/Bucket") or "?").rpartition(":")[2] for one in enabled})
    counts: dict[str, int] = {}
    for prefix in settings.whole_prefixes():
        listing = store.list(prefix)
        for one, _ in zip(listing, range(_SAMPLES), strict=False):
            state = getattr(store, "replication", lambda _: "")(one.key)
            if state:
                counts[state] = counts.get(state, 0) + 1
        listing.close()  # type: ignore[attr-defined]
    told = ", ".join(f"{number} {state.lower()}" for state, number in sorted(counts.items())) or "none of these says how far it is"
    bad = {"PENDING", "FAILED"} & counts.keys()
    detail = f"{len(enabled)} rules, to {', '.join(to)}; of up to {_SAMPLES} objects a prefix: {told}"
    hint = "Deletions and bad writes are replicated too: a replica is no backup." if not bad else "Look at the replication's own metrics."
    yield Probe("replication", "warn" if bad else "ok", detail, hint if bad else "")


def _lock(root: ET.Element | None) -> Iterator[Probe]:
    if root is None or root.findtext("ObjectLockEnabled") != "Enabled":
        yield Probe("object lock", "ok", "off")
        return
    mode = root.findtext("Rule/DefaultRetention/Mode")
    days = root.findtext("Rule/DefaultRetention/Days")
    years = root.findtext("Rule/DefaultRetention/Years")
    term = f"{days} days" if days else f"{years} years" if years else ""
    detail = f"on, {mode.lower()} {term} by default" if mode else "on, without a default retention"
    yield Probe("object lock", "ok", f"{detail}; locks of objects are not in the points: what is restored gets the bucket's default")


def _span(gap: dt.timedelta) -> str:
    hours = gap / dt.timedelta(hours=1)
    return counted(round(hours / 24), "day") if hours >= 48 else f"{hours:.3g} hours"


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdigit() else None
