"""Does a bucket's lock hold against these very credentials? Tried on an object whose lock ends within seconds."""

import datetime as dt
import secrets
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from holdfast.model import Clock
from holdfast.storage.contract import Lock
from holdfast.storage.objects.api import Api, ApiError

_PASSING = {"SlowDown", "ServiceUnavailable", "RequestTimeout", "500", "503"}
_PROBES = (dt.timedelta(seconds=20), dt.timedelta(minutes=10))


class LockProbe:
    """``folder``: where the vault lies in the bucket, '' or ending in '/'. ``time``: the store's own."""

    def __init__(self, api: Api, folder: str, lock: Lock, clock: Clock) -> None:
        self._api = api
        self._folder = folder
        self._lock = lock
        self._clock = clock

    def sweep(self) -> None:
        """Probes of earlier looks, whose locks have ended. What cannot be removed now goes the next time."""
        try:
            for page in self._pages():
                for one in (*page.get("Versions", ()), *page.get("DeleteMarkers", ())):
                    try:
                        self._api.again.delete_object(Bucket=self._api.bucket, Key=one["Key"], VersionId=one["VersionId"])
                    except ApiError:
                        continue
        except ApiError:
            return

    def failures(self, now: dt.datetime) -> list[tuple[str, str]]:
        """(code, sentence) of what these credentials could do to a locked object, and should not. ``now``: the store's time.

        Raises the store's errors when the probe itself cannot be made.
        """
        began = self._clock.monotonic()
        denied: ApiError | None = None
        # A policy may demand that locks are long, and a machine may be too busy for a short one: then the probe stays longer.
        for term in (*_PROBES, self._lock.term):
            try:
                found = self._failures(now + dt.timedelta(seconds=self._clock.monotonic() - began), term)
            except ApiError as error:
                if error.code not in {"AccessDenied", "403"}:
                    raise
                denied = error
                continue
            if found is not None:
                return found
        if denied is not None:
            raise denied
        return []

    def _failures(self, now: dt.datetime, term: dt.timedelta) -> list[tuple[str, str]] | None:
        """None when the lock may have ended before the last try: that proves nothing."""
        began = self._clock.monotonic()
        key = f"{self._folder}probe/lock-{secrets.token_hex(8)}"
        mode = self._lock.mode.upper()
        put: dict[str, Any] = {"IfNoneMatch": "*", "ObjectLockMode": mode, "ObjectLockRetainUntilDate": now + term}
        made = self._api.once.put_object(Bucket=self._api.bucket, Key=key, Body=b"probe", **put)
        where = {"Bucket": self._api.bucket, "Key": key, "VersionId": made["VersionId"]}
        found: list[tuple[str, str]] = []
        if self._works(lambda: self._api.once.put_object(Bucket=self._api.bucket, Key=key, Body=b"second", **put)):
            found.append(("unconditional", "The store accepted a second object under a name that was taken: it cannot keep a vault."))
        sooner = {"Mode": mode, "RetainUntilDate": now + term * 0.9}
        if self._works(lambda: self._api.once.put_object_retention(**where, Retention=sooner)):
            found.append(("lock-shortened", "A lock could be shortened."))
        if self._works(lambda: self._api.once.delete_object(**where)):
            found.append(("lock-broken", "A locked object could be deleted."))
        elif self._lock.mode == "governance":
            found += self._bypasses(where, sooner)
        if self._clock.monotonic() - began > term.total_seconds() * 0.8:
            return None
        return found

    def _bypasses(self, where: dict[str, str], sooner: dict[str, Any]) -> list[tuple[str, str]]:
        """With the header that lifts governance. Some stores (MinIO) let it shorten a lock without asking for the right that it needs."""
        if self._works(lambda: self._api.once.delete_object(**where, BypassGovernanceRetention=True)):
            return [
                ("governance-bypassed", "These credentials may lift locks (s3:BypassGovernanceRetention): who steals them deletes all.")
            ]
        for mode in ("GOVERNANCE", "COMPLIANCE"):
            retention = {"Mode": mode, "RetainUntilDate": sooner["RetainUntilDate"]}
            if self._works(partial(self._api.once.put_object_retention, **where, Retention=retention, BypassGovernanceRetention=True)):
                return [
                    ("governance-shortened", "These credentials may shorten locks: who steals them waits a moment and deletes everything.")
                ]
        return []

    @staticmethod
    def _works(call: Callable[[], Any]) -> bool:
        """False when the store refused. That it did not answer proves nothing: that is raised."""
        try:
            call()
        except ApiError as error:
            if error.code.endswith("Error") or error.code in _PASSING:
                raise
            return False
        return True

    def _pages(self) -> Iterator[dict[str, Any]]:
        yield self._api.again.list_object_versions(Bucket=self._api.bucket, Prefix=f"{self._folder}probe/")
