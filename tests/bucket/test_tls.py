"""S3 over TLS: a server's certificate is believed by the authority that the plan names, or nothing is said to it."""

import datetime as dt
import ipaddress
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from holdfast.connect.objects import Options, open_objects
from holdfast.connect.objects.errors import StoreUntrusted
from holdfast.model import SystemClock
from holdfast.storage import StorageUntrusted
from holdfast.storage.open import open_storage
from tests.bucket.kit import Scene, options_of, picture
from tests.cli.running import holdfast
from tests.servers.minio import MinioServer
from tests.servers.need import need

pytestmark = pytest.mark.minio


class Authority:
    """A certificate authority of its own, and what it signs."""

    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._signed(_named(name), self.key.public_key(), _named(name), self.key, None, 1)

    def write(self, path: Path) -> Path:
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def leaf(self, folder: Path, address: str = "127.0.0.1", days: float = 1) -> None:
        """``public.crt`` and ``private.key`` of a server at ``address``."""
        key = ec.generate_private_key(ec.SECP256R1())
        found = self._signed(_named("minio"), key.public_key(), self.certificate.subject, self.key, address, days)
        (folder / "public.crt").write_bytes(found.public_bytes(serialization.Encoding.PEM))
        plain = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        (folder / "private.key").write_bytes(plain)

    def _signed(self, subject, public, issuer, key, address: str | None, days: float) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        built = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=2))
            .not_valid_after(now + dt.timedelta(days=days))
            .add_extension(x509.BasicConstraints(address is None, None), critical=True)
        )
        if address is not None:
            names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))])
            built = built.add_extension(names, critical=False)
        return built.sign(key, hashes.SHA256())


class Counted(SystemClock):
    """Counts the pauses that were asked for."""

    slept = 0

    def sleep(self, seconds: float) -> None:
        self.slept += 1


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@pytest.fixture(scope="module")
def own():
    return Authority("own")


@pytest.fixture(scope="module")
def served(own):
    with need(), MinioServer.create(certificate=own.leaf) as server:
        yield server


@pytest.fixture
def ca(own, tmp_path):
    return str(own.write(tmp_path / "ca.pem"))


def test_there_and_back_over_tls(served, ca, tmp_path):
    assert served.endpoint.startswith("https://")
    options = options_of(served, ca=ca, patience=20)
    made = open_objects("s3://raw-tls", options)
    served.make("raw-tls", ca)
    scene = Scene(tmp_path, "s3://raw-tls/landing", options)
    made.put("landing/a b", b"content")
    made.put("landing/large", bytes(20 << 20))
    before = picture(made, "landing/")
    point = scene.backup()
    assert point.facts["objects"] == 2
    assert scene.backup().facts["unread"] == 2
    scene.restore("s3://raw-tls/copy")
    assert picture(made, "copy/") == before
    assert scene.verify().report.verdict == "passed"
    made.close()
    scene.close()


@pytest.mark.parametrize("given", ["none", "another authority's"])
def test_a_certificate_that_is_not_vouched_for_is_refused_at_once(served, tmp_path, given):
    other = None if given == "none" else str(Authority("other").write(tmp_path / "other.pem"))
    store = open_objects("s3://raw-tls", options_of(served, ca=other, patience=600))
    began = time.monotonic()
    for ask in (lambda: next(store.list(), None), lambda: store.put("a", b"secret")):
        with pytest.raises(StoreUntrusted, match="is not trusted"):
            ask()
    assert time.monotonic() - began < 200
    store.close()


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("given", ["none", "another authority's"])
def test_a_vaults_location_whose_certificate_is_not_vouched_for_is_refused_at_once(served, tmp_path, given, several):
    """Who is asked again for a minute tells nobody what is wrong."""
    tls = {} if given == "none" else {"tls": {"ca": str(Authority("other").write(tmp_path / "other.pem"))}}
    credentials = {"access_key_id": served.access_key, "secret_access_key": served.secret_key}
    options = {"endpoint": served.endpoint, "region": served.region, "credentials": credentials, **tls}
    clock = Counted()
    storage = open_storage("s3://raw-tls/v", options, clock=clock, one_of_several=several)
    for ask in (lambda: storage.get("a"), lambda: storage.put_if_absent("a", [b"x"]), lambda: list(storage.list()), storage.now):
        with pytest.raises(StorageUntrusted, match="is not trusted"):
            ask()
    assert clock.slept == 0


@pytest.mark.parametrize(("address", "days", "said"), [("127.0.0.2", 1, "IP address mismatch"), ("127.0.0.1", -1, "expired")])
def test_a_certificate_of_another_host_or_of_another_time_is_refused(own, ca, address, days, said):
    with need(), MinioServer.create(certificate=lambda folder: own.leaf(folder, address, days)) as server:
        store = open_objects("s3://x", options_of(server, ca=ca, patience=60))
        with pytest.raises(StoreUntrusted, match=said):
            next(store.list(), None)
        store.close()
        credentials = {"access_key_id": server.access_key, "secret_access_key": server.secret_key}
        options = {"endpoint": server.endpoint, "region": server.region, "credentials": credentials, "tls": {"ca": ca}}
        with pytest.raises(StorageUntrusted):
            open_storage("s3://x/v", options).get("a")


def test_certificates_without_https_and_https_without_tls_are_refused(minio, ca):
    with pytest.raises(StoreUntrusted, match="is no https"):
        open_objects("s3://x", options_of(minio, ca=ca))
    plain = Options(endpoint=minio.endpoint.replace("http:", "https:"), credentials=options_of(minio).credentials, ca=ca)
    store = open_objects("s3://x", plain)
    with pytest.raises(StoreUntrusted, match="wrong version number"):
        next(store.list(), None)
    store.close()


def test_by_the_command_line_for_bucket_table_and_vault(served, ca, tmp_path):
    import pyarrow as pa
    from deltalake import write_deltalake

    served.make("tls-vault", ca)
    served.make("tls-lake", ca)
    (tmp_path / "table").mkdir()
    write_deltalake(str(tmp_path / "table"), pa.table({"a": [1, 2]}))
    store = open_objects("s3://tls-lake", options_of(served, ca=ca))
    for path in (tmp_path / "table").rglob("*"):
        if path.is_file():
            store.put(f"orders/{path.relative_to(tmp_path / 'table')}", path.read_bytes())
    store.close()
    reached = f"""
    endpoint: "{served.endpoint}"
    credentials: {{access_key_id: {{env: ID}}, secret_access_key: {{env: SECRET}}}}"""
    tls = "\n    tls: {ca: ca.pem}"
    keep = "\n    backup: daily\n    rpo: 1d\n    keep: {last: 3}"
    plan = f"""
platform: acme
vault:
  key: {{env: HOLDFAST_KEY}}
  locations:
  - name: onsite
    url: "s3://tls-vault/v"
    failure_domain: here{reached}TLS
systems:
  raw:
    kind: bucket
    url: "s3://tls-lake"{reached}TLS{keep}
  lake:
    kind: delta
    url: "s3://tls-lake"{reached}TLS{keep}
"""
    known = {"HOLDFAST_KEY": "k", "ID": served.access_key, "SECRET": served.secret_key, "HOLDFAST_SANDBOX": str(tmp_path / "boxes")}
    (tmp_path / "holdfast.yaml").write_text(plan.replace("TLS", tls))
    for words in ("init --yes", "backup raw", "backup lake", "restore lake --into s3://tls-lake/copy"):
        done = holdfast(tmp_path, *words.split(), **known)
        assert done.returncode == 0, (words, done.stdout, done.stderr)
    (tmp_path / "holdfast.yaml").write_text(plan.replace("TLS", "", 1).replace("TLS", tls))
    untrusted = holdfast(tmp_path, "backup", "raw", **known)
    assert (untrusted.returncode, "error[location-untrusted]" in untrusted.stderr) == (3, True), untrusted.stderr
    (tmp_path / "holdfast.yaml").write_text(plan.replace("TLS", tls, 1).replace("TLS", ""))
    for name in ("raw", "lake"):
        untrusted = holdfast(tmp_path, "backup", name, **known)
        assert (untrusted.returncode, "error[object-store-untrusted]" in untrusted.stderr) == (3, True), untrusted.stderr
