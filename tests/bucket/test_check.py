"""What ``check`` tells of a bucket's settings."""

import datetime as dt

from holdfast.assembly import Platform
from holdfast.connect.objects.xml import parse
from holdfast.model import SystemClock
from holdfast.plan import load
from holdfast.systems.bucket.settings import BucketSettings
from holdfast.systems.bucket.watch import rules, watch
from tests.bucket.kit import Scene, new_bucket, options_of


def states(scene: Scene) -> dict[str, tuple[str, str]]:
    return {one.name: (one.state, one.detail) for one in scene.system().probe()}


def test_a_plain_bucket(scene):
    assert states(scene)[f"{scene.url}/"] == ("warn", "holds no objects")
    scene.store.put("a", b"x")
    found = states(scene)
    assert found[f"{scene.url}/"][0] == "ok"
    assert found["versioning"][0] == "warn"
    assert "is overwritten between two points is lost" in found["versioning"][1]
    assert found["lifecycle"] == ("ok", "no rule takes away what the plan protects")
    assert found["replication"] == ("ok", "no rule")
    assert found["object lock"] == ("ok", "off")


def test_versions_lock_and_lifecycle_on_a_real_store(tmp_path, minio):
    url = new_bucket(minio, lock=True)
    client = minio.client()
    name = url.removeprefix("s3://")
    client.put_object_lock_configuration(
        Bucket=name,
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}},
    )
    client.put_bucket_lifecycle_configuration(
        Bucket=name,
        LifecycleConfiguration={
            "Rules": [
                {"ID": "soon", "Status": "Enabled", "Filter": {"Prefix": "in/"}, "Expiration": {"Days": 1}},
                {"ID": "later", "Status": "Enabled", "Filter": {"Prefix": ""}, "NoncurrentVersionExpiration": {"NoncurrentDays": 30}},
                {"ID": "off", "Status": "Disabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 1}},
                {"ID": "elsewhere", "Status": "Enabled", "Filter": {"Prefix": "out/"}, "Expiration": {"Days": 1}},
            ]
        },
    )
    client.close()
    scene = Scene(tmp_path, url + "/in", options_of(minio), versions="all", gap=dt.timedelta(days=2))
    scene.store.put("in/a", b"x")  # what a locked bucket takes has a checksum of its own
    found = states(scene)
    assert found["versioning"][0] == "ok"
    assert found["lifecycle rule soon"][0] == "fail"
    assert "some are never in any" in found["lifecycle rule soon"][1]
    assert found["lifecycle rule later"][0] == "ok"
    assert not {"lifecycle rule off", "lifecycle rule elsewhere"} & found.keys()
    assert found["object lock"][1].startswith("on, governance 1 days by default")
    scene.close()


def test_rules_of_every_kind():
    body = b"""<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
      <Rule><ID>a</ID><Status>Enabled</Status><Prefix>old/</Prefix><Expiration><Date>2030-01-01T00:00:00Z</Date></Expiration></Rule>
      <Rule><Status>Enabled</Status><Filter><And><Prefix>b/</Prefix><Tag><Key>x</Key><Value>y</Value></Tag></And></Filter>
        <Transition><Days>3</Days><StorageClass>GLACIER</StorageClass></Transition>
        <Transition><Days>9</Days><StorageClass>STANDARD_IA</StorageClass></Transition></Rule>
      <Rule><ID>m</ID><Status>Enabled</Status><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration></Rule>
    </LifecycleConfiguration>"""
    assert [(one.id, one.prefix, one.acts, one.days) for one in rules(parse(body))] == [
        ("a", "old/", "expire", None),
        ("(without a name)", "b/", "archive", 3),
    ]


def test_a_rule_is_told_with_what_it_spares(scene):
    body = b"""<LifecycleConfiguration>
      <Rule><ID>t</ID><Status>Enabled</Status><Filter><And><Prefix>b/</Prefix><Tag><Key>x</Key><Value>y</Value></Tag>
        <ObjectSizeGreaterThan>9</ObjectSizeGreaterThan></And></Filter><Expiration><Days>1</Days></Expiration></Rule>
      <Rule><ID>v</ID><Status>Enabled</Status><Filter/><NoncurrentVersionExpiration><NoncurrentDays>2</NoncurrentDays>
        <NewerNoncurrentVersions>3</NewerNoncurrentVersions></NoncurrentVersionExpiration></Rule>
    </LifecycleConfiguration>"""

    class Store:
        url = "s3://ruled"

        def setting(self, name):
            return body if name == "lifecycle" else None

    settings = BucketSettings("s3://ruled", scene.open, versions="all", gap=dt.timedelta(hours=36))
    found = {one.name: (one.state, one.detail) for one in watch(settings, Store())}
    assert found["lifecycle rule t"] == (
        "fail",
        (
            "deletes objects below b/, tagged x=y, larger than 9 bytes, after 1 day, and up to 36 hours lie between two points:"
            " some are never in any"
        ),
    )
    assert found["lifecycle rule v"] == (
        "ok",
        "removes older versions everywhere, all but the newest 3, after 2 days; points taken until then keep them",
    )


def test_replication_and_what_may_not_be_asked(scene):
    class Store:
        """Answers of a store with replication, as Amazon's reference shows them."""

        url = "s3://replicated"

        def setting(self, name):
            from holdfast.connect.objects import StoreDenied

            if name == "replication":
                return (
                    b"<ReplicationConfiguration><Rule><Status>Enabled</Status>"
                    b"<Destination><Bucket>arn:aws:s3:::copy</Bucket></Destination></Rule></ReplicationConfiguration>"
                )
            raise StoreDenied("s3://replicated refused: 403 AccessDenied", said="AccessDenied")

        def list(self, prefix=""):
            yield from scene.store.list(prefix)

        def replication(self, key):
            return {"a": "COMPLETED", "b": "PENDING"}.get(key, "")

    for key in ("a", "b", "c"):
        scene.store.put(key, b"x")
    found = {one.name: one for one in watch(scene.settings, Store())}
    assert found["replication"].state == "warn"
    assert found["replication"].detail == "1 rules, to copy; of up to 20 objects a prefix: 1 completed, 1 pending"
    assert found["versioning"].detail == "these credentials may not ask for it"


class Leaping(SystemClock):
    """Pauses are over at once."""

    slept = 0.0

    def sleep(self, seconds: float) -> None:
        self.slept += seconds

    def monotonic(self) -> float:
        return super().monotonic() + self.slept


def test_a_store_that_does_not_answer_is_waited_for_once_and_not_long(tmp_path):
    plan = tmp_path / "holdfast.yaml"
    plan.write_text("""
platform: acme
vault: {key: {env: KEY}, locations: [{name: onsite, url: "file:///v"}]}
systems:
  raw: {kind: bucket, url: "s3://raw", endpoint: "http://127.0.0.1:1", prefixes: [a, b], backup: daily, keep: {last: 3},
        credentials: {access_key_id: {env: ID}, secret_access_key: {env: SECRET}}}
""")
    environ = {"HOLDFAST_STATE": str(tmp_path / "state"), "ID": "i", "SECRET": "s"}
    clock = Leaping()
    platform = Platform(load(plan), environ=environ, clock=clock)
    [found] = platform.system("raw").probe()
    assert found.state == "fail"
    assert "127.0.0.1" in found.detail or "refused" in found.detail
    assert 5 <= clock.slept <= 20
