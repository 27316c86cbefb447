"""RFC 3161 in the real protocol: openssl stamps, its answers are believed when they are right, and never otherwise."""

import base64
import hashlib
import subprocess

import pytest
from cryptography import x509

from holdfast.connect.timestamps import AuthorityUnreachable, query
from holdfast.evidence import verifier
from holdfast.evidence.stamps import AuthorityUnknown, StampNotBelieved, stamp
from tests.evidence.authority import Authority
from tests.servers import need


@pytest.fixture(scope="module", params=["ec", "rsa"])
def authority(request, tmp_path_factory):
    with need():
        made = Authority(tmp_path_factory.mktemp("authority"), kind=request.param)
    with made.serving():
        yield made


@pytest.fixture
def roots(authority):
    return x509.load_pem_x509_certificates(authority.ca.read_bytes())


def test_a_stamp_is_believed_here_and_by_the_script_alone(authority, roots):
    answer = stamp(authority.url, authority.ca, b"the head of a journal")
    at, checked = verifier.timestamp(answer, b"the head of a journal", roots)
    assert checked
    assert at.tzinfo is not None
    assert verifier.timestamp(answer, b"the head of a journal", [])[1] is False


def test_openssl_reads_our_question_and_believes_the_same_answer(authority, tmp_path):
    (tmp_path / "message").write_bytes(b"one")
    asked = query(hashlib.sha256(b"one").digest(), (1 << 63) - 5)
    (tmp_path / "query").write_bytes(asked)
    (tmp_path / "answer").write_bytes(authority.reply(asked))
    read = subprocess.run(["openssl", "ts", "-query", "-in", tmp_path / "query", "-text"], capture_output=True, text=True, check=True)
    assert "Hash Algorithm: sha256" in read.stdout
    assert "Nonce: 0x7FFFFFFFFFFFFFFB" in read.stdout
    assert "Certificate required: yes" in read.stdout
    words = ["openssl", "ts", "-verify", "-queryfile", tmp_path / "query", "-in", tmp_path / "answer", "-CAfile", authority.ca]
    assert "Verification: OK" in subprocess.run(words, capture_output=True, text=True, check=False).stdout
    answer = (tmp_path / "answer").read_bytes()
    assert verifier.timestamp(answer, b"one", verifier.certificates([authority.ca]), (1 << 63) - 5)[1]


def test_of_another_message_it_is_not_believed(authority, roots):
    answer = stamp(authority.url, authority.ca, b"one")
    with pytest.raises(verifier.Altered, match="something else"):
        verifier.timestamp(answer, b"two", roots)


def test_no_changed_byte_moves_a_stamp(authority, roots):
    """A byte that nothing signs (a certificate's text that is not used, the status) may change; the time and the imprint may not."""
    answer = stamp(authority.url, authority.ca, b"one")
    right, _ = verifier.timestamp(answer, b"one", roots)
    for at in range(0, len(answer), 3):
        spoiled = answer[:at] + bytes([answer[at] ^ 0x41]) + answer[at + 1 :]
        try:
            said, _ = verifier.timestamp(spoiled, b"one", roots)
        except verifier.Altered:
            continue
        assert said == right, at


def test_another_authority_is_not_believed(authority, tmp_path):
    other = Authority(tmp_path / "other")
    answer = stamp(authority.url, authority.ca, b"one")
    with pytest.raises(verifier.Altered, match="another authority"):
        verifier.timestamp(answer, b"one", x509.load_pem_x509_certificates(other.ca.read_bytes()))
    with pytest.raises(StampNotBelieved):
        stamp(authority.url, other.ca, b"one")


def test_an_old_answer_is_not_taken_for_a_new_one(authority):
    old = stamp(authority.url, authority.ca, b"one")
    authority.answer = old
    try:
        with pytest.raises(StampNotBelieved):
            stamp(authority.url, authority.ca, b"one")
    finally:
        authority.answer = None


@pytest.mark.parametrize("answer", [b"", b"no stamp", base64.b64encode(b"x" * 500)])
def test_what_is_no_answer_is_said_so(authority, answer):
    authority.answer = answer
    try:
        with pytest.raises(StampNotBelieved):
            stamp(authority.url, authority.ca, b"one")
    finally:
        authority.answer = None


def test_nobody_there_and_no_certificate(authority, tmp_path):
    with pytest.raises(AuthorityUnreachable):
        stamp("http://127.0.0.1:1/tsa", authority.ca, b"one", patience=2)
    with pytest.raises(AuthorityUnreachable):
        stamp("file:///etc/passwd", authority.ca, b"one")
    with pytest.raises(AuthorityUnknown):
        stamp(authority.url, tmp_path / "none.pem", b"one")
