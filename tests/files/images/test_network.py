"""What lies between a registry and its client: credentials, redirects, broken transfers, busy and lying servers."""

import base64
import json
import time

import pytest

from holdfast.systems.files.images import Registry, RegistrySettings, push
from holdfast.systems.files.images.errors import BlobWrong, ManifestRefused, RegistryDenied, RegistryUnreachable
from holdfast.systems.files.images.transport import Transport
from tests.files.images.kit import Bench, Impatient, Notes, Pusher, digest_of, layer, open_settings
from tests.files.images.meddler import Loopback, Meddler, Tokens, reply
from tests.servers.account import server_folder
from tests.servers.need import need
from tests.servers.registry import PASSWORD, USER, RegistryServer


def behind(server, **more) -> RegistrySettings:
    return RegistrySettings(server.host, plain_http=True, **more)


def test_basic_credentials(tmp_path):
    with need():
        server = RegistryServer(basic=True)
    with server:
        value = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        Pusher(server.host, {"Authorization": f"Basic {value}"}).image("acme/api", "1", [layer(1)])
        name = f"{server.host}/acme/api:1"
        bench = Bench(tmp_path, behind(server, user=USER, password=PASSWORD))
        point = bench.capture(name)
        assert bench.states(point) == {f"image {name}": "passed"}
        done = push(bench.restore(point), Registry(behind(server, user=USER, password=PASSWORD), bench.clock), Notes(), prefix="copy")
        assert done.sent + done.mounted == 2
        for wrong, said in ((behind(server, user=USER, password="s3cret-wrong"), "Check user and password"), (behind(server), "Name user")):
            with pytest.raises(RegistryDenied) as caught:
                Bench(tmp_path / said[:4], wrong).capture(name)
            assert said in caught.value.hint
            assert "s3cret" not in caught.value.message + repr(caught.value.details) + repr(wrong)


@pytest.mark.parametrize("user", ["", "alice"])
def test_bearer_tokens_with_and_without_a_password(tmp_path, user):
    with need(), Tokens(user=user, password="pw" if user else "") as tokens:
        folder = server_folder("tokens")
        with RegistryServer(token=tokens.configuration(folder)) as server:
            settings = behind(server, user=user or None, password="pw" if user else None)
            registry = Registry(settings, Impatient())
            registry.ping()
            # A registry that is filled through the code under test is read by it too.
            with RegistryServer() as plain:
                Pusher(plain.host).image("acme/api", "1", [layer(1), layer(2)])
                first = Bench(tmp_path, open_settings(plain))
                layout = first.restore(first.capture(f"{plain.host}/acme/api:1"))
            push(layout, registry, Notes())
            push(layout, registry, Notes(), prefix="again")
            tokens.given.clear()
            name = f"{server.host}/acme/api:1"
            bench = Bench(tmp_path / "second", settings)
            point = bench.capture(name)
            assert bench.states(point) == {f"image {name}": "passed"}
            # One token serves all requests to one repository, though four threads ask.
            assert len(tokens.given) <= 4
            if user:
                with pytest.raises(RegistryDenied):
                    Bench(tmp_path / "third", behind(server, user=user, password="no")).capture(name)


def test_a_refused_token_leaves_no_connection_open(monkeypatch):
    class Refuses(Loopback):
        def answer(self, handler, body):
            challenge = f'Bearer realm="http://{self.host}/token",service="x"'
            # More than a header's worth, so that the answer is not all read with its headers.
            reply(handler, 401, {"WWW-Authenticate": challenge}, bytes(100_000))

    answers = []
    request = Transport.request

    def kept(*args, **options):
        answers.append(request(*args, **options))
        return answers[-1]

    monkeypatch.setattr(Transport, "request", kept)
    with Refuses() as server, pytest.raises(RegistryDenied):
        Registry(behind(server, user="alice", password="no"), Impatient()).ping()
    assert len(answers) == 2
    assert all(one.body.isclosed() for one in answers)


def test_credentials_do_not_go_where_a_blob_is_redirected_to(tmp_path, registry, pusher):
    pusher.image("acme/redirected", "1", [layer(1)])

    with Meddler(registry.host) as store:

        def rule(handler):
            if handler.headers.get("Authorization") is None:
                reply(handler, 401, {"WWW-Authenticate": 'Basic realm="x"'})
                return True
            if "/blobs/" in handler.path:
                reply(handler, 307, {"Location": f"http://localhost:{store.server.server_port}{handler.path}?X-Signature=secret"})
                return True
            return False

        with Meddler(registry.host, rule) as front:
            name = f"{front.host}/acme/redirected:1"
            bench = Bench(tmp_path, behind(front, user="u", password="pw"))
            point = bench.capture(name)
            assert bench.states(point) == {f"image {name}": "passed"}
            assert any(auth for _, _, auth, _ in front.seen)
            assert len(store.seen) == 2
            assert not any(auth for _, _, auth, _ in store.seen)
            assert "X-Signature" not in json.dumps(point.model_dump(mode="json"))


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://host/x", "gopher://x"])
def test_redirects_that_lead_out_of_http_are_not_followed(tmp_path, registry, pusher, target):
    pusher.image("acme/away", "1", [layer(1)])

    def rule(handler):
        if "/blobs/" in handler.path:
            reply(handler, 302, {"Location": target})
            return True
        return False

    with Meddler(registry.host, rule) as front, pytest.raises(RegistryUnreachable, match="not safe to follow"):
        Bench(tmp_path, behind(front)).capture(f"{front.host}/acme/away:1")


def test_redirects_without_end(tmp_path):
    class Round(Loopback):
        def answer(self, handler, body):
            reply(handler, 302, {"Location": handler.path})

    with Round() as server, pytest.raises(RegistryUnreachable, match="without end"):
        Bench(tmp_path, behind(server), clock=Impatient()).capture(f"{server.host}/a/b:1")


def test_a_broken_layer_goes_on_where_it_broke(tmp_path, registry, pusher):
    big = layer(5, 300_000)
    pusher.image("acme/broken", "1", [big])
    with Meddler(registry.host, cut=50_000, cuts=4) as front:
        name = f"{front.host}/acme/broken:1"
        bench = Bench(tmp_path, behind(front), clock=Impatient())
        point = bench.capture(name)
        assert front.cuts == 0
        assert bench.states(point) == {f"image {name}": "passed"}
        ranges = [asked for command, path, _, asked in front.seen if digest_of(big) in path and asked]
    assert ranges == [f"bytes={n}-" for n in (50_000, 100_000, 150_000, 200_000)]
    assert not point.findings


def test_a_store_that_cannot_skip_is_read_again(tmp_path, registry, pusher):
    big = layer(6, 300_000)
    pusher.image("acme/no-range", "1", [big])

    def rule(handler):
        del handler.headers["Range"]
        return False

    with Meddler(registry.host, rule, cut=200_000, cuts=1) as front:
        name = f"{front.host}/acme/no-range:1"
        bench = Bench(tmp_path, behind(front), clock=Impatient())
        assert bench.states(bench.capture(name)) == {f"image {name}": "passed"}


def test_a_transfer_that_always_breaks_at_one_place_is_given_up(tmp_path, registry, pusher):
    pusher.image("acme/stuck", "1", [layer(7, 100_000)])
    with Meddler(registry.host, cut=0, cuts=1000) as front, pytest.raises(RegistryUnreachable, match=r"broke .* off at 0 of"):
        Bench(tmp_path, behind(front), clock=Impatient()).capture(f"{front.host}/acme/stuck:1")


@pytest.mark.parametrize(
    ("asked", "waits"), [("7", 7.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("soon", 1.0), ("999999", 120.0), ("-5", 1.0)]
)
def test_a_busy_registry_is_waited_for(tmp_path, registry, pusher, asked, waits):
    pusher.image("acme/busy", "1", [layer(8)])
    left = [1]

    def rule(handler):
        if left[0]:
            left[0] -= 1
            reply(handler, 429, {"Retry-After": asked})
            return True
        return False

    clock = Impatient()
    with Meddler(registry.host, rule) as front:
        bench = Bench(tmp_path, behind(front), clock=clock)
        bench.capture(f"{front.host}/acme/busy:1")
    assert clock.slept[0] == waits


def test_a_registry_that_stays_busy_or_hangs_or_is_gone(tmp_path):
    class Busy(Loopback):
        def answer(self, handler, body):
            reply(handler, 503, {})

    class Silent(Loopback):
        def answer(self, handler, body):
            self.released.wait(30)
            handler.close_connection = True

    clock = Impatient()
    with Busy() as server, pytest.raises(RegistryUnreachable, match="503"):
        Bench(tmp_path / "1", behind(server), clock=clock).capture(f"{server.host}/a/b:1")
    assert len(clock.slept) == 4
    with Silent() as server, pytest.raises(RegistryUnreachable, match="timed out"):
        Bench(tmp_path / "2", behind(server), clock=Impatient(), timeout=0.2).capture(f"{server.host}/a/b:1")
    with pytest.raises(RegistryUnreachable, match="refused"):
        Bench(tmp_path / "3", behind(server), clock=Impatient()).capture(f"{server.host}/a/b:1")


def test_tls_with_an_authority_of_the_plan(tmp_path):
    import datetime as dt
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "registry")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now - dt.timedelta(hours=1), now + dt.timedelta(hours=1))
    builder = builder.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    certificate, private = tmp_path / "c.pem", tmp_path / "k.pem"
    certificate.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    private.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    with need():
        server = RegistryServer(tls=(certificate, private))
    with server:
        Registry(RegistrySettings(server.host, ca=certificate), Impatient()).ping()
        with pytest.raises(RegistryUnreachable, match="CERTIFICATE_VERIFY_FAILED"):
            Registry(RegistrySettings(server.host), Impatient()).ping()


class Lying(Loopback):
    """Answers every manifest with ``body``."""

    def __init__(
        self, body: bytes, kind: str = "application/vnd.oci.image.manifest.v1+json", headers: dict[str, str] | None = None
    ) -> None:
        super().__init__()
        self.body, self.kind, self.headers = body, kind, headers or {}

    def answer(self, handler, body):
        reply(handler, 200, {"Content-Type": self.kind, **self.headers}, self.body)


@pytest.mark.parametrize(
    ("kind", "body", "said"),
    [
        ("application/vnd.docker.distribution.manifest.v1+prettyjws", b'{"schemaVersion": 1, "fsLayers": []}', "schema 1"),
        ("application/json", b'{"schemaVersion": 1}', "schema 1"),
        ("application/vnd.oci.image.manifest.v1+json", b"<html>login</html>", "no JSON"),
        ("application/vnd.oci.image.manifest.v1+json", b"[" * 100_000, "no JSON"),
        ("application/vnd.oci.image.manifest.v1+json", b'{"schemaVersion":2,"layers":[],"manifests":[]}', "at once"),
        ("application/vnd.oci.image.index.v1+json", b'{"schemaVersion":2,"config":{},"layers":[]}', "manifests are no list"),
        ("application/vnd.oci.image.index.v1+json", b'{"schemaVersion":2}', "at once, or neither"),
        ("application/vnd.oci.image.manifest.v1+json", b"x" * (5 << 20), "at most"),
        (
            "application/vnd.oci.image.manifest.v1+json",
            b'{"schemaVersion":2,"config":{"mediaType":"a/b","digest":"sha256:../../../etc","size":1},"layers":[]}',
            "no digest that is understood",
        ),
    ],
)
def test_manifests_that_are_none(tmp_path, kind, body, said):
    with Lying(body, kind) as server, pytest.raises(ManifestRefused, match=said):
        Bench(tmp_path, behind(server), clock=Impatient()).capture(f"{server.host}/a/b:1")


def test_a_manifest_of_another_digest(tmp_path):
    for headers, name in (({"Docker-Content-Digest": digest_of(b"other")}, ":1"), ({}, "@" + digest_of(b"other"))):
        with Lying(b"{}", headers=headers) as server, pytest.raises(BlobWrong, match="expected sha256"):
            Bench(tmp_path / name[1:4], behind(server), clock=Impatient()).capture(f"{server.host}/a/b{name}")


def test_an_index_that_leads_round_or_too_deep(tmp_path):
    class Deep(Loopback):
        """Every manifest is an index of one more, with the digest that is asked for (it cannot be: so each is wrong)."""

        def answer(self, handler, body):
            child = {"mediaType": "application/vnd.oci.image.index.v1+json", "digest": "sha256:" + "0" * 64, "size": 300}
            document = json.dumps({"schemaVersion": 2, "manifests": [child]}).encode()
            reply(handler, 200, {"Content-Type": "application/vnd.oci.image.index.v1+json"}, document)

    with Deep() as server, pytest.raises(BlobWrong):
        Bench(tmp_path, behind(server), clock=Impatient()).capture(f"{server.host}/a/b:1")


def test_the_address_of_tokens_needs_tls_where_the_registry_has_it(tmp_path):
    from holdfast.systems.files.images.auth import Credentials
    from holdfast.systems.files.images.transport import Answer, Transport

    clock = Impatient()
    settings = RegistrySettings("registry.example", user="u", password="p")
    credentials = Credentials(settings, Transport(clock), clock)
    refused = Answer(
        401, {"www-authenticate": 'Bearer realm="http://elsewhere.example/token",service="x"'}, "https://registry.example/v2/", None
    )
    with pytest.raises(RegistryDenied, match="without TLS"):
        credentials.answer(refused, "repository:a:pull")


def test_an_upload_is_not_sent_elsewhere(tmp_path, registry, pusher):
    pusher.image("acme/up", "1", [layer(9)])
    bench = Bench(tmp_path, open_settings(registry))
    layout = bench.restore(bench.capture(f"{registry.host}/acme/up:1"))

    def rule(handler):
        if handler.command == "POST":
            reply(handler, 202, {"Location": "http://localhost:1/steal"})
            return True
        return False

    with Meddler(registry.host, rule) as front, pytest.raises(RegistryUnreachable, match="another place"):
        push(layout, Registry(behind(front), Impatient()), Notes(), prefix="x")


def test_time_is_not_spent_on_waiting(tmp_path, registry, pusher):
    """The clock that is injected is the one that waits."""
    began = time.monotonic()
    clock = Impatient()
    with pytest.raises(RegistryUnreachable):
        Registry(RegistrySettings("127.0.0.1:1", plain_http=True), clock).ping()
    assert sum(clock.slept) > 10
    assert time.monotonic() - began < sum(clock.slept)
