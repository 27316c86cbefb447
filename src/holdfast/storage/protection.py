"""Who could destroy what lies in a location? Asked by looking at its settings and by trying with the very credentials of the backup."""

import datetime as dt
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

from holdfast.errors import MissingExtra
from holdfast.model import Clock
from holdfast.storage.contract import Lock, Storage, StorageDenied

if TYPE_CHECKING:
    from holdfast.storage.objects.api import Api
    from holdfast.storage.objects.bucket import Facts

State = Literal["ok", "warn", "fail"]
_GUIDE = "See docs/guide-immutable.md"
_SKEW = dt.timedelta(minutes=5)
"""Beyond this nothing is committed and no lease believed."""
_DRIFT = dt.timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Finding:
    """``code`` is stable; ``detail`` says what is so, ``hint`` what to do ('' for nothing)."""

    code: str
    state: State
    detail: str
    hint: str = ""


def look(url: str, options: Mapping[str, Any], storage: Storage, clock: Clock, *, keep: dt.timedelta) -> list[Finding]:
    """What protects the location ``storage`` at ``url``, and what does not. ``keep``: how long the plan promises to keep points there.

    Leaves for some seconds a small locked object below ``probe/``, where the plan locks. Raises StorageDenied, StorageUnreachable.
    """
    found = list(_clock(storage, clock))
    parts = urlsplit(url if not url.startswith("/") else f"file://{url}")
    if parts.scheme == "file":
        return [*found, _folder(unquote(parts.path))]
    if parts.scheme in {"ssh", "unix"}:
        return [*found, *_served(parts.scheme, unquote(parts.path), storage)]
    if parts.scheme != "s3":
        return [*found, _unknown(parts.scheme)] if parts.scheme in {"gs", "az"} else found
    try:
        return [*found, *_s3(parts.netloc, parts.path.strip("/"), url, options, storage, clock, keep)]
    except MissingExtra as missing:
        return [
            *found,
            Finding("protection-unknown", "warn", f"What protects this bucket cannot be asked: {missing.message}", missing.hint),
        ]


def prepare(url: str, options: Mapping[str, Any]) -> bool:
    """Before a vault is made: a bucket that is to lock is made with object lock where there is none yet; True when it was made.

    Raises BucketUnlocked for a bucket without lock, StorageDenied, StorageUnreachable.
    """
    parts = urlsplit(url)
    if parts.scheme != "s3" or not options.get("lock"):
        return False
    from holdfast.storage.objects.api import Api
    from holdfast.storage.objects.bucket import create, facts
    from holdfast.storage.objects.clients import place_of

    api = Api(parts.netloc, options)
    try:
        known = facts(api, url)
        if not known.exists:
            create(api, url, place_of(options).region)
            return True
        _require_lock(url, known)
    finally:
        api.close()
    return False


def _require_lock(url: str, known: "Facts") -> None:
    from holdfast.storage.objects.bucket import BucketUnlocked

    if not known.lock and not any("object lock" in sentence for sentence in known.unknown):
        raise BucketUnlocked(
            f"The plan locks objects in {url}, but the bucket has no object lock.",
            hint="Name a new bucket: 'holdfast init' makes it with object lock. Most stores cannot turn it on later.",
            url=url,
        )


def _clock(storage: Storage, clock: Clock) -> Iterator[Finding]:
    before = clock.now()
    skew = storage.now() - before
    if abs(skew) > _DRIFT:
        ahead = "ahead of" if skew > dt.timedelta(0) else "behind"
        yield Finding(
            "clock-skew",
            "fail" if abs(skew) > _SKEW else "warn",
            f"The location's clock is {abs(skew).total_seconds():.0f} s {ahead} this host's; locks and leases count by the location's,"
            " and over 300 s nothing is committed.",
            "Set this host's clock by NTP; if the location's is wrong, tell its operator.",
        )


def _folder(path: str) -> Finding:
    try:
        own = os.stat(path).st_uid == os.geteuid()  # noqa: PTH116 - of the folder itself, whose owner may do everything
    except OSError:
        own = False
    if own or os.access(path, os.W_OK):
        return Finding(
            "folder-writable",
            "warn",
            "Not protected: this account can delete and overwrite what lies here, and so can an attacker who has it.",
            f"Serve the folder append-only from another account, or keep a locked copy elsewhere. {_GUIDE}.",
        )
    return Finding("folder-foreign", "ok", "This account may not write here.")


def _served(scheme: str, path: str, storage: Storage) -> Iterator[Finding]:
    """The server is asked to remove what was never there: one that is append-only refuses by the name alone."""
    try:
        storage.delete("packs/never-there")
    except StorageDenied:
        pass
    else:
        yield Finding(
            "served-open", "fail", "NOT PROTECTED: the server removes what it is told to.", f"Serve it by 'holdfast vault serve'. {_GUIDE}."
        )
        return
    if scheme == "unix":
        from holdfast.storage.served.client import server_uid

        if server_uid(path) == os.geteuid():
            yield Finding(
                "served-by-oneself",
                "warn",
                "Not protected: the folder is served by this very account, which can do everything in it.",
                f"Run 'holdfast vault serve' as an account of its own. {_GUIDE}.",
            )
            return
    yield Finding("append-only", "ok", "Served append-only by another account: nothing there can be changed or removed from here.")


def _unknown(scheme: str) -> Finding:
    return Finding(
        "protection-unknown",
        "warn",
        f"Not known to be protected: Holdfast sets no locks on {scheme}:// locations.",
        "Set a retention policy on the bucket itself, or keep a locked copy on S3.",
    )


def _s3(
    bucket: str, prefix: str, url: str, options: Mapping[str, Any], storage: Storage, clock: Clock, keep: dt.timedelta
) -> Iterator[Finding]:
    from holdfast.storage.objects.api import Api
    from holdfast.storage.objects.bucket import facts

    lock = Lock(**options["lock"]) if options.get("lock") else None
    folder = f"{prefix}/" if prefix else ""
    api = Api(bucket, options)
    try:
        known = facts(api, url)
        if not known.exists:
            yield Finding("bucket-missing", "fail", f"There is no bucket {bucket}.", "'holdfast init' makes it.")
            return
        yield from (
            Finding("not-told", "warn", sentence, "Allow it, so that 'check' can judge the location.") for sentence in known.unknown
        )
        yield from _unlocked(known) if lock is None else _locked(api, folder, lock, known, storage, clock)
        yield from _rules(known, folder, keep, lock)
    finally:
        api.close()


def _unlocked(known: "Facts") -> Iterator[Finding]:
    hint = f"Lock it: a new bucket with object lock, and lock: {{mode: compliance, days: 30}} in the plan. {_GUIDE}."
    if known.versioning == "Suspended":
        yield Finding(
            "versioning-suspended", "warn", "Not protected: the bucket's versioning was suspended; what is deleted is gone.", hint
        )
    elif known.versioning == "Enabled":
        yield Finding(
            "no-lock", "warn", "Not protected: the bucket keeps versions, but without a lock who may delete versions deletes all.", hint
        )
    else:
        yield Finding(
            "no-versions", "warn", "Not protected: the bucket has neither versions nor object lock; these credentials destroy it all.", hint
        )
    if known.default_days:
        yield Finding(
            "default-retention",
            "warn",
            f"The bucket locks everything for {known.default_days} days by itself, and the plan does not say so: prunes will fail.",
            f"Say lock: {{mode: {known.default_mode}, days: {known.default_days}}} for this location.",
        )


def _locked(api: "Api", folder: str, lock: Lock, known: "Facts", storage: Storage, clock: Clock) -> Iterator[Finding]:
    from holdfast.storage.objects.api import ApiError
    from holdfast.storage.objects.prove import LockProbe

    if not known.lock and not known.unknown:
        yield Finding(
            "bucket-without-lock",
            "fail",
            "NOT PROTECTED: the plan locks objects here, but the bucket has no object lock.",
            "Name a new bucket and run 'holdfast init', or copy the vault to one: holdfast vault copy.",
        )
        return
    if known.versioning != "Enabled" and not known.unknown:
        yield Finding("versioning-suspended", "fail", "NOT PROTECTED: the bucket's versioning is not on.", "Turn it on again.")
        return
    probe = LockProbe(api, folder, lock, clock)
    probe.sweep()
    try:
        failures = probe.failures(storage.now())
    except ApiError as error:
        text = " ".join(str(error).split())[:300]
        yield Finding(
            "lock-denied",
            "fail",
            f"An object cannot be locked with these credentials: {text}",
            "Allow s3:PutObjectRetention and s3:GetObjectRetention; not s3:BypassGovernanceRetention.",
        )
        return
    for code, sentence in failures:
        hint = (
            "Take that right from the backup's credentials, or use mode: compliance." if "bypass" in code else "Do not rely on this store."
        )
        yield Finding(code, "fail", f"NOT PROTECTED: {sentence}", hint)
    if not failures:
        yield Finding(
            "locked",
            "ok",
            f"Locked in {lock.mode} mode for {lock.days} days (what later points may need too for a quarter more, 7 days at most): a locked"
            " probe could be neither deleted nor shortened.",
        )
    yield _default(lock, known)


def _default(lock: Lock, known: "Facts") -> Finding:
    if known.default_days is None:
        return Finding(
            "no-default-retention",
            "ok",
            "The bucket itself locks nothing: Holdfast locks each object as it puts it, what other programs put here is not locked.",
        )
    if known.default_days > lock.days:
        return Finding(
            "default-longer",
            "warn",
            f"The bucket locks by itself for {known.default_days} days, longer than the plan's {lock.days}: sessions and other passing"
            " objects are locked too.",
            "Set the bucket's default retention to none.",
        )
    return Finding("default-retention", "ok", f"The bucket's own default retention is {known.default_days} days.")


def _rules(known: "Facts", folder: str, keep: dt.timedelta, lock: Lock | None) -> Iterator[Finding]:
    """Lifecycle rules that touch the vault's folder."""
    told = f"{keep.days} days" if keep < dt.timedelta(days=36500) else "for ever"
    for rule in known.rules:
        if not (rule.prefix.startswith(folder) or folder.startswith(rule.prefix)):
            continue
        after = f"after {rule.days} days" if rule.days is not None else "by date or number of versions"
        where = f"below '{rule.prefix}'" if rule.prefix else "in the whole bucket"
        late = rule.days is not None and dt.timedelta(days=rule.days) > keep
        hint = f"Take the lifecycle rule '{rule.id}' out, or let it spare '{folder or '/'}'."
        if rule.acts == "move":
            yield Finding(
                "lifecycle-archive",
                "warn",
                f"The lifecycle rule '{rule.id}' moves objects {where} to an archive {after}: not read at once.",
                hint,
            )
        elif late:
            yield Finding(
                "lifecycle-late",
                "warn",
                f"The lifecycle rule '{rule.id}' deletes {where} {after}; the plan promises {told}, holds may say more.",
                hint,
            )
        elif rule.acts == "expire":
            deletes = "hides" if known.versioning == "Enabled" else "deletes"
            yield Finding(
                "lifecycle-expires",
                "fail",
                f"The lifecycle rule '{rule.id}' {deletes} objects {where} {after}; the plan promises to keep points {told}.",
                hint,
            )
        elif rule.acts == "remove" and (known.versioning == "Enabled" or lock is not None):
            yield Finding(
                "lifecycle-removes",
                "warn",
                f"The lifecycle rule '{rule.id}' removes older versions {where} {after}: after an attack the true objects are the"
                " older ones, and the rule deletes them when their lock has ended.",
                hint,
            )
