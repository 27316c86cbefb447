"""Azure's store: who asks, and what Azurite does not have (versions), read from answers in the published format."""

import base64
import hmac
import secrets
from urllib.parse import urlencode

import pytest

from holdfast.connect.objects import Options, StoreDenied, open_objects
from holdfast.connect.objects.azure.credentials import account, signature
from holdfast.connect.objects.azure.listing import UNKNOWN_NS, history, page
from holdfast.connect.objects.azure.store import fit, fitting
from holdfast.connect.objects.contract import Described
from holdfast.connect.objects.errors import KeyImpossible
from holdfast.connect.objects.xml import parse
from holdfast.model import SystemClock
from tests.connect.objects.conftest import place_of

NAMES = ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN")
NAMES += ("AZURE_STORAGE_CONNECTION_STRING", "AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET")


@pytest.fixture
def bare(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def shared(server, *, permissions: str = "rwdlact", ends: str = "2100-01-01T00:00:00Z") -> str:
    """A signature for the account's blobs (learn.microsoft.com/rest/api/storageservices/create-account-sas)."""
    version = "2020-12-06"
    text = f"{server.account}\n{permissions}\nb\nsco\n2020-01-01T00:00:00Z\n{ends}\n\nhttps,http\n{version}\n\n"
    mac = base64.b64encode(hmac.digest(base64.b64decode(server.key), text.encode(), "sha256")).decode()
    parts = {"sv": version, "ss": "b", "srt": "sco", "sp": permissions, "st": "2020-01-01T00:00:00Z", "se": ends, "spr": "https,http"}
    return urlencode({**parts, "sig": mac})


def test_a_shared_access_signature(azurite, request, bare):
    place = place_of("az", request)
    place.store.put("a b/é", b"x")
    credentials = {"account_name": azurite.account, "sas_token": "?" + shared(azurite)}
    store = open_objects(place.url, Options(endpoint=azurite.address, credentials=credentials))
    assert [one.key for one in store.list()] == ["a b/é"]
    store.put("b", b"y")
    store.copy("a b/é", "c")
    assert store.fetch("c") == b"x"
    store.close()
    reader = {"account_name": azurite.account, "sas_token": shared(azurite, permissions="rl")}
    store = open_objects(place.url, Options(endpoint=azurite.address, credentials=reader))
    assert store.fetch("b") == b"y"
    with pytest.raises(StoreDenied) as refused:
        store.put("d", b"z")
    assert "sig=" not in f"{refused.value.message}{refused.value.details}"
    store.close()
    place.store.close()


def test_a_wrong_key_is_one_sentence(azurite, request, bare):
    place = place_of("az", request)
    wrong = {"account_name": azurite.account, "account_key": base64.b64encode(secrets.token_bytes(32)).decode()}
    store = open_objects(place.url, Options(endpoint=azurite.address, credentials=wrong))
    with pytest.raises(StoreDenied, match="refused: 403") as refused:
        list(store.list())
    assert "clock" in refused.value.hint
    with pytest.raises(StoreDenied, match="refused: 403"):
        store.put("a", b"")
    store.close()
    place.store.close()


def test_credentials_of_the_environment(azurite, request, bare):
    place = place_of("az", request)
    text = f"DefaultEndpointsProtocol=http;AccountName={azurite.account};AccountKey={azurite.key};BlobEndpoint={azurite.address};"
    bare.setenv("AZURE_STORAGE_CONNECTION_STRING", text)
    store = open_objects(place.url, Options())
    assert list(store.list()) == []
    store.close()
    bare.delenv("AZURE_STORAGE_CONNECTION_STRING")
    bare.setenv("AZURE_STORAGE_ACCOUNT_NAME", azurite.account)
    bare.setenv("AZURE_STORAGE_ACCOUNT_KEY", azurite.key)
    store = open_objects(place.url, Options(endpoint=azurite.address))
    assert list(store.list()) == []
    store.close()
    place.store.close()
    assert account(Options(), SystemClock()).endpoint == f"https://{azurite.account}.blob.core.windows.net"


def test_what_is_missing_among_credentials_is_told_without_repeating_any(bare):
    key = base64.b64encode(b"hunter2").decode()
    for given, said in (
        ({}, "No account of Azure Blob Storage is named"),
        ({"account_name": "acme"}, "No credentials for the account acme"),
        ({"account_name": "acme", "account_key": "hunter2!"}, "key of the account acme is no base64"),
        ({"account_name": "acme", "sas_token": "sv=1&hunter2=1"}, "has no signature"),
        ({"account_name": "acme", "client_secret": "hunter2"}, "needs tenant_id and client_id"),
        ({"account_key": key}, "No account of Azure Blob Storage is named"),
    ):
        with pytest.raises(StoreDenied, match=said) as refused:
            open_objects("az://c", Options(credentials=given))
        assert "hunter2" not in f"{refused.value.message}{refused.value.hint}{refused.value.details}"
        assert key not in f"{refused.value.message}{refused.value.hint}{refused.value.details}"


def test_a_request_is_signed_as_published():
    """The string that is signed, written out for one request by the rules of "Authorize with Shared Key"."""
    key = b"k" * 32
    headers = {
        "host": "acme.blob.core.windows.net",
        "x-ms-version": "2021-12-02",
        "x-ms-date": "Sat, 21 Nov 2026 00:00:00 GMT",
        "x-ms-meta-a": "  two   blanks ",
        "if-match": '"0x8D"',
        "content-md5": "1B2M2Y8AsgTpgAmY7PhCfg==",
    }
    text = (
        'PUT\n\n\n5\n1B2M2Y8AsgTpgAmY7PhCfg==\n\n\n\n"0x8D"\n\n\n\n'
        "x-ms-date:Sat, 21 Nov 2026 00:00:00 GMT\nx-ms-meta-a:two blanks\nx-ms-version:2021-12-02\n"
        "/acme/c/a%20b\nblockid:QQ==\ncomp:block"
    )
    expected = base64.b64encode(hmac.digest(key, text.encode(), "sha256")).decode()
    assert signature(key, "acme", "PUT", "/c/a%20b", {"comp": "block", "blockid": "QQ=="}, headers, 5) == expected


PAGE = """<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="c"><Blobs>
<Blob><Name>a</Name><VersionId>2026-11-20T10:00:00.1234567Z</VersionId><Properties>
<Last-Modified>Fri, 20 Nov 2026 10:00:00 GMT</Last-Modified>
<Etag>0x1</Etag><Content-Length>1</Content-Length><BlobType>BlockBlob</BlobType><AccessTier>Hot</AccessTier>
<AccessTierInferred>true</AccessTierInferred></Properties></Blob>
<Blob><Name>a</Name><VersionId>2026-11-20T11:00:00.5000000Z</VersionId><IsCurrentVersion>true</IsCurrentVersion><Properties>
<Last-Modified>Fri, 20 Nov 2026 11:00:00 GMT</Last-Modified><Etag>0x2</Etag><Content-Length>2</Content-Length><BlobType>BlockBlob</BlobType>
<AccessTier>Cool</AccessTier></Properties></Blob>
<Blob><Name>b</Name><VersionId>2026-11-20T10:00:00.0000000Z</VersionId><Properties>
<Last-Modified>Fri, 20 Nov 2026 10:00:00 GMT</Last-Modified>
<Etag>0x3</Etag><Content-Length>3</Content-Length><BlobType>AppendBlob</BlobType></Properties></Blob>
<Blob><Name Encoded="true">c%EF%BF%BE</Name><Properties><Last-Modified>Fri, 20 Nov 2026 10:00:00 GMT</Last-Modified>
<Etag>0x4</Etag><Content-Length>4</Content-Length></Properties></Blob>
</Blobs><NextMarker /></EnumerationResults>"""


def test_versions_of_a_listing():
    blobs = list(page(parse(PAGE.encode())))
    assert [(one.key, one.current, one.tier, one.kind) for one in blobs] == [
        ("a", False, "", "BlockBlob"),
        ("a", True, "Cool", "BlockBlob"),
        ("b", False, "", "AppendBlob"),
        ("c\ufffe", True, "", ""),
    ]
    found = list(history(blobs))
    assert [(one.key, one.version, one.latest, one.marker, one.size) for one in found] == [
        ("a", "2026-11-20T11:00:00.5000000Z", True, False, 2),
        ("a", "2026-11-20T10:00:00.1234567Z", False, False, 1),
        ("b", "2026-11-20T10:00:00.0000000Z-deleted", True, True, 0),
        ("b", "2026-11-20T10:00:00.0000000Z", False, False, 3),
        ("c\ufffe", "", True, False, 4),
    ]
    assert found[2].modified_ns == UNKNOWN_NS
    assert found[1].modified_ns == 1795168800123456000


@pytest.mark.parametrize("key", ["", "a\\b", "a.", "a./b", "a/../b", ".", "a\nb", "a\x7fb", "x" * 1025, "\udcff"])
def test_keys_that_azure_changes_or_refuses(key):
    with pytest.raises(KeyImpossible, match="Azure takes no key"):
        fit(key)


def test_what_fits():
    described = Described(
        0, 0, "", headers={"content-type": "x", "expires": "y"}, metadata={"a_b": "x", "a-b": "x", "1a": "x", "u": "ü", "blank": " x"}
    )
    fits = fitting(described, {"a": "b", "é": "x", "long": "x" * 257, **{f"t{number:02d}": "x" for number in range(12)}})
    assert (fits.headers, fits.metadata) == ({"content-type": "x"}, {"a_b": "x"})
    assert list(fits.tags) == ["a", *(f"t{number:02d}" for number in range(9))]
