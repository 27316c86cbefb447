"""What comes from outside is read within limits: headers, manifests, names."""

import contextlib
import json
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.systems.files.images.challenge import parse_challenges
from holdfast.systems.files.images.errors import ImageReferenceWrong, ManifestRefused
from holdfast.systems.files.images.layout import Image, index_json
from holdfast.systems.files.images.manifest import ACCEPTED, MOST_BYTES, OCI_MANIFEST, chosen, parse_manifest
from holdfast.systems.files.images.reference import DIGEST, parse_reference
from tests.files.images.kit import descriptor, manifest

TOKEN = st.text(string.ascii_letters + string.digits + "-_.", min_size=1, max_size=12)
QUOTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (
            'Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull,push"',
            [("bearer", {"realm": "https://auth.example/token", "service": "registry.example", "scope": "repository:a/b:pull,push"})],
        ),
        ('Basic realm="Registry Realm"', [("basic", {"realm": "Registry Realm"})]),
        (
            'Negotiate, Basic realm=x, Bearer realm = "y" , error="z"',
            [("negotiate", {}), ("basic", {"realm": "x"}), ("bearer", {"realm": "y", "error": "z"})],
        ),
        (r'Basic realm="a \"quoted\" \\ one"', [("basic", {"realm": r'a "quoted" \ one'})]),
        ("NTLM TlRMTVNTUAAB==, basic realm=x", [("ntlm", {}), ("basic", {"realm": "x"})]),
        ("", []),
        (',,, ="', []),
    ],
)
def test_challenges(header, found):
    assert [(one.scheme, dict(one.parameters)) for one in parse_challenges(header)] == found


@settings(deadline=None)
@given(st.lists(st.tuples(TOKEN, st.dictionaries(TOKEN.map(str.lower), QUOTABLE, min_size=1, max_size=4)), max_size=4))
def test_challenges_that_are_written_by_the_rules_come_back(given_challenges):
    def quoted(value):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = ", ".join(
        f"{scheme} " + ", ".join(f"{name}={quoted(value)}" for name, value in parameters.items()) for scheme, parameters in given_challenges
    )
    assert [(one.scheme, dict(one.parameters)) for one in parse_challenges(header)] == [
        (scheme.lower(), parameters) for scheme, parameters in given_challenges
    ]


@settings(deadline=None)
@given(st.text(st.sampled_from('Bearer Basic,="\\ \t\x00é;realm'), max_size=200))
def test_any_header_is_survived(header):
    for one in parse_challenges(header):
        assert one.scheme


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
DESCRIPTOR = st.fixed_dictionaries(
    {},
    optional={
        "mediaType": st.sampled_from(["a/b", "", "x", OCI_MANIFEST]) | JSON,
        "digest": st.sampled_from(["sha256:" + "a" * 64, "sha256:" + "A" * 64, "sha512:" + "b" * 128, "md5:abc", "../../x"]) | JSON,
        "size": st.integers(-5, 2**70) | JSON,
        "platform": JSON,
        "urls": JSON,
    },
)
DOCUMENT = st.fixed_dictionaries(
    {"schemaVersion": st.sampled_from([2, 1, 3, "2", None])},
    optional={
        "mediaType": st.sampled_from(ACCEPTED) | JSON,
        "manifests": st.lists(DESCRIPTOR, max_size=3) | JSON,
        "layers": st.lists(DESCRIPTOR, max_size=3) | JSON,
        "config": DESCRIPTOR | JSON,
    },
)


@settings(deadline=None)
@given(DOCUMENT | JSON, st.sampled_from([*ACCEPTED, "application/json", ""]))
def test_any_document_is_a_manifest_or_refused(document, media_type):
    try:
        found = parse_manifest(json.dumps(document).encode(), media_type, "x")
    except ManifestRefused:
        return
    assert found.media_type in ACCEPTED
    for one in (*found.children, *found.blobs):
        assert DIGEST.fullmatch(one.digest)
        assert 0 <= one.size <= 2**50


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read(data):
    with contextlib.suppress(ManifestRefused):
        parse_manifest(data, OCI_MANIFEST, "x")


def test_limits():
    many = [descriptor(str(n).encode(), "a/b") for n in range(2001)]
    for data in (manifest([], b"{}", extra=many), b" " * (MOST_BYTES + 1), b"[" * 50_000, b'{"a":' * 50_000):
        with pytest.raises(ManifestRefused):
            parse_manifest(data, OCI_MANIFEST, "x")
    with pytest.raises(ManifestRefused, match="media type"):
        parse_manifest(manifest([], b"{}"), ACCEPTED[0], "x")


@pytest.mark.parametrize(
    ("text", "host", "repository", "tag", "digest"),
    [
        ("registry.example/acme/api:1.0", "registry.example", "acme/api", "1.0", None),
        ("registry.example:5000/api", "registry.example:5000", "api", "latest", None),
        ("localhost/a__b/c-d.e", "localhost", "a__b/c-d.e", "latest", None),
        ("[::1]:5000/a:v", "[::1]:5000", "a", "v", None),
        ("r.example/a:t@sha256:" + "a" * 64, "r.example", "a", "t", "sha256:" + "a" * 64),
        ("r.example/a@sha512:" + "b" * 128, "r.example", "a", None, "sha512:" + "b" * 128),
    ],
)
def test_names(text, host, repository, tag, digest):
    found = parse_reference(text)
    assert (found.host, found.repository, found.tag, found.digest) == (host, repository, tag, digest)
    assert found.wanted == (digest or tag)


NOT_NAMES = [
    *("api", "acme/api:1", "r.example/Acme", "r.example/../x", "r.example/a:", "r.example/a@sha256:…", "r.example//a", "-r.example/a"),
    *("u:p@r.example/a", "https://r.example/a", "r.example/a?x=1"),
]


@pytest.mark.parametrize(
    "text", [*NOT_NAMES, "r.example/a@sha256:" + "A" * 64, "r.example/a b", "r.example/" + "a" * 300, "", "r.example/a\n"]
)
def test_names_that_are_none(text):
    with pytest.raises(ImageReferenceWrong):
        parse_reference(text)


@settings(deadline=None)
@given(st.text(st.sampled_from("abcA.:/@-_[]0 \n%?"), max_size=60))
def test_a_name_that_is_taken_says_what_it_said(text):
    try:
        found = parse_reference(text)
    except ImageReferenceWrong:
        return
    assert parse_reference(str(found)) == found


def test_platforms():
    assert chosen("linux/arm64/v8", ())
    assert chosen("linux/arm64/v8", ("linux/arm64",))
    assert not chosen("linux/arm64", ("linux/arm",))
    assert not chosen("", ("linux/arm",))


def test_an_index_is_the_same_in_any_order():
    one = Image("r.example/b:1", OCI_MANIFEST, "sha256:" + "a" * 64, 3)
    two = Image("r.example/a:1", OCI_MANIFEST, "sha256:" + "b" * 64, 4, ("linux/arm64",), ("sha256:" + "c" * 64,))
    assert index_json([one, two]) == index_json([two, one])
