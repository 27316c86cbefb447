"""What somebody does who has the backup host's store credentials and its vault key, and wants the backups gone or unreadable."""

import dataclasses
import datetime as dt
from collections import Counter

from botocore.exceptions import ClientError

from holdfast.vault.format import envelope, names
from holdfast.vault.format.crypto import SYSTEM_RANDOM
from holdfast.vault.keys.bundle import Bundle
from holdfast.vault.keys.notary import Notary


class Attack:
    """``tried`` and ``refused`` count by kind. ``client``: boto3 with the stolen credentials; ``notary``: with the stolen key."""

    def __init__(self, place, client, notary, versions=None):
        self.place, self.client, self.notary = place, client, notary
        self.tried, self.refused = Counter(), Counter()
        there = self.listed()
        self.versions = [one for one in versions if one in set(there)] if versions else there

    def listed(self):
        found = []
        for page in self.client.get_paginator("list_object_versions").paginate(Bucket=self.place.bucket, Prefix=f"{self.place.prefix}/"):
            found += [(one["Key"], one["VersionId"]) for one in page.get("Versions", [])]
        return found

    def attempt(self, kind, call, **arguments):
        self.tried[kind] += 1
        try:
            return call(**arguments)
        except ClientError:
            self.refused[kind] += 1
            return None

    @staticmethod
    def free(name):
        """What the vault never locks: it says who is at work, and holds nothing of the past."""
        return name.startswith((names.SESSIONS, names.CONDEMNED, "probe/"))

    def name(self, key):
        return key.removeprefix(f"{self.place.prefix}/")

    def run(self):
        # Everything is read first, as a thief would before he shows himself.
        bodies = {
            key: self.client.get_object(Bucket=self.place.bucket, Key=key, VersionId=version)["Body"].read()
            for key, version in self.versions
        }
        self.shorten()
        self.delete()
        self.overwrite(bodies)
        self.forge(bodies)
        self.hide()
        self.bucket()
        self.shorten()
        self.delete()
        return self

    def shorten(self):
        soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=2)
        for key, version in self.versions:
            if self.free(self.name(key)):
                continue
            where = {"Bucket": self.place.bucket, "Key": key, "VersionId": version}
            for bypass in ({}, {"BypassGovernanceRetention": True}):
                for mode in ("GOVERNANCE", "COMPLIANCE"):
                    # By this MinIO lets anybody lift governance: see test_what_governance_is_worth_on_this_store.
                    if self.place.mode == "governance" and bypass and mode == "COMPLIANCE":
                        continue
                    retention = {"Mode": mode, "RetainUntilDate": soon}
                    self.attempt("shorten a lock", self.client.put_object_retention, **where, Retention=retention, **bypass)
                if self.place.mode == "governance" and bypass:
                    continue
                self.attempt("remove a lock", self.client.put_object_retention, **where, Retention={}, **bypass)

    def delete(self):
        for key, version in self.versions:
            kind = "delete what is not locked" if self.free(self.name(key)) else "delete a version"
            for bypass in ({}, {"BypassGovernanceRetention": True}):
                self.attempt(kind, self.client.delete_object, Bucket=self.place.bucket, Key=key, VersionId=version, **bypass)
        locked = [{"Key": key, "VersionId": version} for key, version in self.versions if not self.free(self.name(key))]
        answer = self.client.delete_objects(Bucket=self.place.bucket, Delete={"Objects": locked})
        self.tried["delete versions in bulk"] += len(locked)
        self.refused["delete versions in bulk"] += len(answer.get("Errors", []))

    def overwrite(self, bodies):
        """Garbage, cut bytes, and bytes of other objects of the same kind: well formed, signed, and older."""
        by_kind = {}
        for key in sorted(bodies):
            by_kind.setdefault(self.name(key).split("/")[0], []).append(key)
        for key, body in bodies.items():
            others = [bodies[other] for other in by_kind[self.name(key).split("/")[0]] if other != key]
            for kind, data in (
                ("put garbage over", b"\0" * len(body)),
                ("put cut bytes over", body[: len(body) // 2]),
                ("put an empty object over", b""),
                *(("put another's bytes over", other) for other in others[:2]),
            ):
                self.attempt(kind, self.client.put_object, Bucket=self.place.bucket, Key=key, Body=data)

    def forge(self, bodies):
        """With the stolen key of a writer, and with a root of the thief's own."""
        now = dt.datetime.now(dt.UTC)
        own = Notary(dataclasses.replace(Bundle.new(SYSTEM_RANDOM), vault=self.notary.vault), lambda *_: b"")
        for key in list(bodies):
            name = self.name(key)
            parsed = names.parse_point(name)
            if parsed is not None:
                session = parsed[0]
                abort = self.notary.make(name, "abort", now, {"session": session})
                self.attempt("put a signed abort over a point", self.client.put_object, Bucket=self.place.bucket, Key=key, Body=abort)
                drop = names.dropped(session)
                for forger in (own, None):
                    data = forger.make(drop, "drop", now, {"session": session}) if forger else self.as_root(drop, "drop", session, now)
                    self.put("put a forged record of a drop", drop, data)
            if name.startswith((names.CONFIG, "keys/epochs", "keys/writers", "keys/ring")):
                kind = envelope.parse(name, bodies[key]).kind
                fields = {field: value for field, value in envelope.parse(name, bodies[key]).clear.items() if field not in ("writer", "at")}
                self.put(f"put a forged {kind} over", name, own.make(name, kind, now, fields))
        session = names.session_id(now, b"f" * 10)
        for forger, said in ((own, "a stranger"), (self.notary, "the writer")):
            point = forger.make(names.point(session), "point", now, {"session": session, "system": "0" * 16}, plain=b"{}")
            if forger is own:
                self.put(f"put a point forged by {said}", names.point(session), point)
            packs = b"".join(bytes.fromhex(parsed) for parsed in self.packs(bodies))
            listed = f"{names.CONDEMNED}{forger.random(16).hex()}"
            self.put(f"condemn every pack as {said}", listed, self.signed(forger, listed, "condemned", now, packs=packs))

    def as_root(self, name, kind, session, now):
        """Signed by the writer, but named as the root's."""
        return self.signed(self.notary, name, kind, now, "root", session=session)

    @staticmethod
    def signed(notary, name, kind, now, by="", packs=b"", **fields):
        """What ``Notary.make`` would refuse to make for this role."""
        own = notary.bundle.writer
        clear = fields | {"kind": kind, "vault": notary.vault.hex(), "writer": by or own.id, "at": now.isoformat()}
        return envelope.build(name, clear, vault=notary.vault, sign_private=own.sign, packs=packs)

    def packs(self, bodies):
        for key in bodies:
            parsed = names.parse_pack(self.name(key))
            if parsed is not None:
                yield (parsed[0] + parsed[1]).hex()

    def put(self, kind, name, data):
        self.attempt(kind, self.client.put_object, Bucket=self.place.bucket, Key=f"{self.place.prefix}/{name}", Body=data)

    def hide(self):
        for key in sorted({key for key, _ in self.versions}):
            self.attempt("put a delete marker over", self.client.delete_object, Bucket=self.place.bucket, Key=key)

    def bucket(self):
        where = {"Bucket": self.place.bucket}
        client = self.client
        self.attempt("suspend versioning", client.put_bucket_versioning, **where, VersioningConfiguration={"Status": "Suspended"})
        self.attempt("turn object lock off", client.put_object_lock_configuration, **where, ObjectLockConfiguration={})
        rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
        changed = {"ObjectLockEnabled": "Enabled", "Rule": rule}
        self.attempt("change the default", client.put_object_lock_configuration, **where, ObjectLockConfiguration=changed)
        lifecycle = {
            "ID": "gone",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "Expiration": {"Days": 1},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 1},
        }
        self.attempt(
            "set a lifecycle rule", client.put_bucket_lifecycle_configuration, **where, LifecycleConfiguration={"Rules": [lifecycle]}
        )
        self.attempt("delete the bucket", client.delete_bucket, **where)

    def told(self):
        """A line for each kind: tried, refused, let through."""
        rows = [(kind, self.tried[kind], self.refused[kind]) for kind in self.tried]
        lines = [f"{kind:38} {tried:6} {refused:8} {tried - refused:6}" for kind, tried, refused in rows]
        return "\n".join([f"{'attempt':38} {'tried':>6} {'refused':>8} {'done':>6}", *lines])
