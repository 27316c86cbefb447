"""Checks signed evidence offline: Python 3.11 or newer and the package ``cryptography`` are all it needs.

    python verify_evidence.py FILE... --root HEX [--authority CA.pem]

``--root`` is the public key of the vault's root (or of the host itself), 64 hex digits, learned from somebody other than who hands over the
files: ``holdfast evidence key`` prints it. One verdict: ``sound`` (exit status 0), ``altered`` (1), ``unknown signer`` (2: whole in itself,
but nobody named a root to be believed). The format is described in docs/evidence-format.md. Holdfast itself uses this very file.
"""

import argparse
import base64
import datetime as dt
import hashlib
import itertools
import json
import struct
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID

FORMAT, PERIOD = "holdfast evidence 1", "holdfast period 2"
LARGEST = 64 << 20
Certificates = Sequence[x509.Certificate]
FIELDS = frozenset({
    "format", "number", "previous", "issued", "host", "vault", "platform", "test", "scope", "people", "backup", "steps", "results",
    "history", "closure", "clocks", "journal", "anchor", "signer",
})  # fmt: skip
TOLERANCE, STAMP_TOLERANCE = 1.0, 60.0
"""Seconds: so far may the wall clock run from the monotonic one between two entries (and 1 %); the host's from an authority's."""


class Altered(Exception):
    """What is wrong, in a sentence."""


@dataclass
class Verdict:
    """``state``: sound, altered or unknown signer. ``notes``: what was not looked at, or is doubtful by its own word."""

    state: str
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def status(self) -> int:
        return {"sound": 0, "altered": 1}.get(self.state, 2)


# ---------------------------------------------------------------- canonical JSON


def canonical(value: Any) -> bytes:
    """ASCII only, keys sorted, no spaces, floats as the shortest decimal that reads back equal; no NaN or infinity."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


def read(data: bytes) -> Any:
    """The value of a file that is canonical JSON and a newline. Raises Altered for anything else: no two files have one value."""
    if len(data) > LARGEST:
        raise Altered(f"The file has {len(data)} bytes; no evidence is larger than {LARGEST}.")
    try:
        value = json.loads(data.decode("ascii"), object_pairs_hook=_once)
        again = canonical(value) + b"\n"
    except (ValueError, RecursionError) as error:
        raise Altered(f"The file is not canonical JSON: {error}.") from None
    if again != data:
        raise Altered("The file is not in canonical form: it was edited, or written by another program.")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def signed(public: str, signature: str, kind: str, body: Any) -> bool:
    """Whether the Ed25519 key ``public`` (hex) signed ``kind`` ‖ NUL ‖ canonical ``body``."""
    return _signed(public, signature, kind.encode("ascii") + b"\0" + canonical(body))


def _signed(public: str, signature: str, message: bytes) -> bool:
    try:
        if public != public.lower() or signature != signature.lower():
            return False
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(bytes.fromhex(signature), message)
    except (ValueError, InvalidSignature, TypeError, AttributeError):
        return False
    return True


def _signer(evidence: Mapping[str, Any], trusted: Collection[str]) -> str:
    """Who vouches for the key: "host" or "root" when one that is trusted does, "" when nobody was named. Raises Altered."""
    signer = evidence["signer"]
    public, certificate, writer = signer["public"], signer["certificate"], signer["writer"]
    if evidence["host"]["key"] != sha256(bytes.fromhex(public))[:16]:
        raise Altered("The signer's key is not the one that the report names.")
    if certificate is not None:
        body = certificate["host"]
        if (body["public"], body["vault"], body["name"]) != (public, evidence["vault"], evidence["host"]["name"]):
            raise Altered("The certificate belongs to another key, host or vault.")
        root, of = _writer(writer, evidence["vault"])
        if body["writer"] != writer["id"] or not signed(of, certificate["signature"], "holdfast host 1", body):
            raise Altered("The host's key is not certified by the writer that is named.")
        if root in trusted:
            return "root"
    if public in trusted:
        return "host"
    if trusted:
        raise Altered("It is signed by a key for which nobody who is trusted vouches: it was signed again with another key.")
    return ""


def _writer(writer: Mapping[str, Any], vault: str) -> tuple[str, str]:
    """(the root's key, the writer's key), once the root's signature on the writer's certificate fits. An envelope of the vault's format."""
    data = base64.b64decode(writer["certificate"], validate=True)
    at, parts = 8, []
    for form in ("<I", "<Q", "<Q"):
        (length,) = struct.unpack_from(form, data, at)
        at += struct.calcsize(form)
        parts.append(data[at : at + length])
        at += length
    clear = json.loads(parts[0])
    name = b"keys/writers/" + writer["id"].encode("ascii")
    message = b"holdfast envelope 1\0" + bytes.fromhex(vault) + struct.pack("<H", len(name)) + name + blake3(data[:at])
    public = base64.b64decode(clear["sign_public"], validate=True)
    good = data[:8] == b"HFENV1\r\n" and len(data) - at == 64 and clear["kind"] == "writer" and clear["writer"] == "root"
    if not good or clear["vault"] != vault or not _signed(writer["root"], data[at:].hex(), message):
        raise Altered("The writer's certificate is not signed by the vault's root.")
    if blake3(public)[:8].hex() != writer["id"]:
        raise Altered("The writer's certificate belongs to another writer.")
    return writer["root"], public.hex()


# ---------------------------------------------------------------- journal, anchor, clocks


def origin(chain: str) -> str:
    """What the first entry of a chain gives as ``prev``."""
    return sha256(f"holdfast journal {chain}".encode())


def first(chain: str) -> str:
    """What the first report of a chain gives as ``previous``."""
    return sha256(f"holdfast evidence {chain}".encode())


def entries(lines: Sequence[str], chain: str) -> list[dict[str, Any]]:
    """The entries of an extract: each whole, each continuing the one before. Raises Altered."""
    found: list[dict[str, Any]] = []
    for line in lines:
        data = line.encode("ascii")
        entry = read(data)
        if set(entry) != {"n", "prev", "kind", "at", "payload", "hash"}:
            raise Altered(f"Line {len(found)} of the extract is no journal entry.")
        if sha256(canonical({key: value for key, value in entry.items() if key != "hash"})) != entry["hash"]:
            raise Altered(f"The journal entry {entry['n']} was changed.")
        if found and (entry["n"], entry["prev"]) != (found[-1]["n"] + 1, found[-1]["hash"]):
            raise Altered(f"The journal entry {entry['n']} does not continue entry {found[-1]['n']}: cut, put in or moved.")
        if entry["n"] == 0 and entry["prev"] != origin(chain):
            raise Altered("The journal's first entry belongs to another chain.")
        found.append(entry)
    return found


def clock_findings(found: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Where the clocks of the entries disagree: the wall clock went back, or moved otherwise than the monotonic one of the same boot."""
    told: list[dict[str, Any]] = []
    for before, after in itertools.pairwise(found):
        wall = (dt.datetime.fromisoformat(after["at"]) - dt.datetime.fromisoformat(before["at"])).total_seconds()
        one, two = (entry["payload"].get("clock") or {} for entry in (before, after))
        steady = two["mono"] - one["mono"] if one and two and one["boot"] == two["boot"] else None
        if steady is not None and steady < 0:
            told.append({"entry": after["n"], "finding": "monotonic clock went back", "seconds": round(steady, 3)})
        elif wall < 0:
            told.append({"entry": after["n"], "finding": "wall clock stepped back", "seconds": round(wall, 3)})
        elif steady is not None and abs(wall - steady) > TOLERANCE + steady / 100:
            told.append({"entry": after["n"], "finding": "clocks disagree", "seconds": round(wall - steady, 3)})
    return told


def said(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What an entry says; a runbook's events keep it below ``data``."""
    return {**payload, **(payload.get("data") or {})}


def _run(evidence: Mapping[str, Any], found: Sequence[Mapping[str, Any]]) -> None:
    """The report says what the journal says."""
    test, results = evidence["test"], evidence["results"]
    own = [entry for entry in found if entry["payload"].get("run") == test["id"]]
    starts = [entry for entry in own if entry["kind"] in {f"{test['verb']}.start", f"{test['verb']}.begin"}]
    ends = [said(entry["payload"]) for entry in own if entry["kind"] in {f"{test['verb']}.end", f"{test['verb']}.ended"}]
    if len(starts) != 1 or found[0] is not starts[0] or len(ends) > 1:
        raise Altered("The extract does not begin with the run that the report is about.")
    outcome = ends[0]["outcome"] if ends else "lost"
    if results["outcome"] != outcome:
        raise Altered(f"The report says {results['outcome']!r}; the journal says {outcome!r}.")
    for name in ("verdict", "message", "transactions_lost"):
        if ends and results[name] != ends[0].get(name):
            raise Altered(f"The report says of {name} {results[name]!r}; the journal says {ends[0].get(name)!r}.")
    if ends and evidence["closure"]["sign_off"] != ends[0].get("sign_off"):
        raise Altered("Who signed it off in the report is not who did in the journal.")
    if results["checks"] != (ends[0].get("results") or [] if ends else []):
        raise Altered("The checks in the report are not those in the journal.")
    if evidence["scope"]["plan"] != (starts[0]["payload"].get("context") or {}).get("plan"):
        raise Altered("The plan's hash in the report is not the one in the journal.")
    if evidence["clocks"]["findings"] != clock_findings(found):
        raise Altered("What the report says of its clocks is not what the journal shows.")


def _anchor(evidence: Mapping[str, Any], found: Sequence[Mapping[str, Any]], authorities: Certificates, notes: list[str]) -> None:
    anchor = evidence["anchor"]
    if anchor is None:
        notes.append("The journal's head was not anchored: who holds the host's key could have written it anew.")
        return
    body, last = anchor["document"], found[-1]
    if body["format"] != "holdfast anchor 1" or not signed(evidence["signer"]["public"], anchor["signature"], "holdfast anchor 1", body):
        raise Altered("The anchor is not signed by the host's key.")
    if (body["vault"], body["chain"], body["host"]) != (evidence["vault"], evidence["journal"]["chain"], evidence["host"]["key"]):
        raise Altered("The anchor belongs to another journal.")
    if (body["n"], body["hash"]) != (last["n"], last["hash"]):
        raise Altered("The anchor does not fit the journal's extract.")
    for stamp in anchor["stamps"]:
        at, checked = timestamp(base64.b64decode(stamp["response"], validate=True), canonical(body), authorities)
        apart = abs((at - dt.datetime.fromisoformat(body["at"])).total_seconds())
        known = "" if checked else " (not checked against a certificate: name it with --authority)"
        far = f" - {apart:.0f} s from the host's clock" if apart > STAMP_TOLERANCE else ""
        notes.append(f"time stamp of {stamp['authority']}: {at.isoformat()}{known}{far}")
    if not anchor["locations"]:
        notes.append("The anchor reached no location.")


def verify(data: bytes, trusted: Collection[str] = (), authorities: Certificates = ()) -> Verdict:
    """One file. ``trusted``: public keys (hex) of roots or hosts. Never raises for what the file holds."""
    verdict = Verdict("altered")
    try:
        whole = read(data)
        if isinstance(whole, dict) and set(whole) == {"period", "signature"}:
            return _period(whole, data, trusted, authorities, verdict)
        if not isinstance(whole, dict) or set(whole) != {"evidence", "signature"}:
            raise Altered("The file is no signed evidence: it has other parts than a report and its signature.")
        evidence = whole["evidence"]
        if not isinstance(evidence, dict) or evidence.get("format") != FORMAT or set(evidence) != FIELDS:
            raise Altered("The report lacks fields of its format, or has more.")
        if not signed(evidence["signer"]["public"], whole["signature"], FORMAT, evidence):
            raise Altered("The signature does not fit: the report was changed after it was signed.")
        by = _signer(evidence, trusted)
        if evidence["number"] < 1 or (evidence["number"] == 1) != (evidence["previous"] == first(evidence["journal"]["chain"])):
            raise Altered("The report's number does not fit its place in the chain of reports.")
        found = entries(evidence["journal"]["lines"], evidence["journal"]["chain"])
        if not found or (found[0]["n"], found[-1]["n"]) != (evidence["journal"]["from"], evidence["journal"]["to"]):
            raise Altered("The journal's extract is not the one that the report names.")
        _run(evidence, found)
        _anchor(evidence, found, authorities, verdict.notes)
    except Altered as error:
        verdict.problems.append(str(error))
        return verdict
    except Exception as error:  # noqa: BLE001 - bytes of strangers: what cannot be read is not believed
        verdict.problems.append(f"The report has not the shape of its format ({type(error).__name__}: {error}).")
        return verdict
    verdict.notes += [f"{one['finding']} by {abs(one['seconds'])} s at entry {one['entry']}" for one in evidence["clocks"]["findings"]]
    said_of = {"number": evidence["number"], "previous": evidence["previous"], "run": evidence["test"]["id"]}
    return _whole(verdict, evidence, data, by, {**said_of, "outcome": evidence["results"]["outcome"]})


def _whole(verdict: Verdict, body: Mapping[str, Any], data: bytes, by: str, more: Mapping[str, Any]) -> Verdict:
    who = {"host": body["host"]["name"], "key": body["signer"]["public"], "vouched": by}
    verdict.facts = {**more, "chain": body["journal"]["chain"], "sha256": sha256(data), **who}
    verdict.state = "sound" if by else "unknown signer"
    if not by:
        verdict.problems.append("It is whole in itself, but whose key signed it is not known: name the vault's root with --root.")
    return verdict


def _period(whole: Mapping[str, Any], data: bytes, trusted: Collection[str], authorities: Certificates, verdict: Verdict) -> Verdict:
    """A period's tests. Raises Altered; what else goes wrong in it is told by ``verify``."""
    body = whole["period"]
    if body["format"] != PERIOD or not signed(body["signer"]["public"], whole["signature"], PERIOD, body):
        raise Altered("The signature does not fit: the period's report was changed after it was signed.")
    by = _signer(body, trusted)
    states = [one["state"] for one in body["tests"]]
    if body["counts"] != {"due": len(states), **{state: states.count(state) for state in body["counts"] if state != "due"}}:
        raise Altered("The counts are not those of the tests.")
    _anchor(body, [one for one in body["journal"]["heads"] if one["chain"] == body["journal"]["chain"]], authorities, verdict.notes)
    verdict.notes += body["doubts"]
    return _whole(verdict, body, data, by, {"period": body["period"]["name"], "counts": body["counts"]})


def gaps(verdicts: Sequence[Verdict]) -> list[str]:
    """What is wrong between reports: a number twice, one missing between two, one that does not continue the one before."""
    told: list[str] = []
    ordered = sorted((one.facts for one in verdicts if "number" in one.facts), key=lambda facts: (facts["chain"], facts["number"]))
    for before, after in itertools.pairwise(ordered):
        if before["chain"] != after["chain"] or before["sha256"] == after["sha256"]:
            continue
        if after["number"] == before["number"]:
            told.append(f"Two reports have the number {after['number']}.")
        elif after["number"] > before["number"] + 1:
            told.append(f"Reports {before['number'] + 1} to {after['number'] - 1} are missing.")
        elif after["previous"] != before["sha256"]:
            wrong = "one of them is not the one that was issued"
            told.append(f"Report {after['number']} does not continue report {before['number']}: {wrong}.")
    return told


_HASHES: dict[str, hashes.HashAlgorithm] = {
    "608648016503040201": hashes.SHA256(), "608648016503040202": hashes.SHA384(), "608648016503040203": hashes.SHA512(),
}  # fmt: skip
_TST_INFO, _MESSAGE_DIGEST = "2a864886f70d0109100104", "2a864886f70d010904"


def timestamp(response: bytes, message: bytes, authorities: Certificates, nonce: int | None = None) -> tuple[dt.datetime, bool]:
    """(the time in a TimeStampResp, whether a named authority signed it). Raises Altered when it is of another message, or not signed so.

    ``nonce``: the one that was sent, where that is known. RFC 3161 section 2.4.2, RFC 5652 section 5. A certificate must hold at the time
    that the stamp states.
    """
    try:
        status, token = _parts(_tlv(response)[1])
        if int.from_bytes(_tlv(status[1])[1], "big") not in {0, 1}:
            raise Altered("The time stamp was not granted.")
        fields = _parts(_parts(_parts(token[1])[1][1])[0][1])
        encapsulated = _parts(fields[2][1])
        info = _tlv(encapsulated[1][1])[1]
        stamp = _parts(_tlv(info)[1])
        algorithm, imprint = _parts(stamp[2][1])
        digest = hashes.Hash(_HASHES[_parts(algorithm[1])[0][1].hex()])
        digest.update(message)
        if encapsulated[0][1].hex() != _TST_INFO or imprint[1] != digest.finalize():
            raise Altered("The time stamp is of something else.")
        if nonce is not None and nonce not in {int.from_bytes(part, "big") for tag, part, _ in stamp[5:] if tag == 0x02}:
            raise Altered("The time stamp answers another question.")
        at = dt.datetime.strptime(stamp[4][1].decode("ascii")[:14], "%Y%m%d%H%M%S").replace(tzinfo=dt.UTC)
        held = [
            x509.load_der_x509_certificate(raw) for tag, _, raw in (_parts(fields[3][1]) if fields[3][0] == 0xA0 else []) if tag == 0x30
        ]
        _stamp_signed(_parts(_tlv(fields[-1][1])[1]), info, held, list(authorities), at)
    except Altered:
        raise
    except Exception as error:  # noqa: BLE001 - bytes of strangers: what cannot be read is not believed
        raise Altered(f"The time stamp cannot be read ({type(error).__name__}: {error}).") from None
    return at, bool(authorities)


def _stamp_signed(
    signer: list[tuple[int, bytes, bytes]], info: bytes, held: list[x509.Certificate], roots: list[x509.Certificate], at: dt.datetime
) -> None:
    serial = int.from_bytes(_parts(signer[1][1])[1][1], "big", signed=True)
    issuer = _parts(signer[1][1])[0][2]
    leaf = next((one for one in (*held, *roots) if one.serial_number == serial and one.issuer.public_bytes() == issuer), None)
    if leaf is None:
        raise Altered("The time stamp does not carry its signer's certificate.")
    algorithm = _HASHES[_parts(signer[2][1])[0][1].hex()]
    attributes = {_parts(one[1])[0][1].hex(): _tlv(_parts(one[1])[1][1])[1] for one in _parts(signer[3][1])}
    digest = hashes.Hash(algorithm)
    digest.update(info)
    if attributes[_MESSAGE_DIGEST] != digest.finalize():
        raise Altered("The time stamp's content was changed.")
    message = b"\x31" + signer[3][2][1:]
    key = leaf.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signer[5][1], message, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signer[5][1], message, ec.ECDSA(algorithm))
        else:
            raise Altered("The time stamp is signed by a kind of key that is not known here.")
    except InvalidSignature:
        raise Altered("The time stamp's signature does not fit.") from None
    if roots:
        _chain(leaf, held, roots, at)


def _chain(leaf: x509.Certificate, held: list[x509.Certificate], roots: list[x509.Certificate], at: dt.datetime) -> None:
    usage = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    if not usage.critical or ExtendedKeyUsageOID.TIME_STAMPING not in usage.value:
        raise Altered("The time stamp is signed by a certificate that is not for time stamps.")
    one = leaf
    for _ in range(8):
        if not one.not_valid_before_utc <= at <= one.not_valid_after_utc:
            raise Altered("A certificate of the time stamp did not hold at that time.")
        if one in roots:
            return
        above = next((other for other in (*roots, *held) if other != one and _issued(one, other)), None)
        if above is None:
            break
        one = above
    raise Altered("The time stamp comes from another authority than the one that is named.")


def _issued(below: x509.Certificate, above: x509.Certificate) -> bool:
    try:
        below.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _tlv(data: bytes, at: int = 0) -> tuple[int, bytes, bytes]:
    """(tag, content, all of it) of the DER element at ``at``."""
    tag, length, head = data[at], data[at + 1], 2
    if length & 0x80:
        count = length & 0x7F
        length, head = int.from_bytes(data[at + 2 : at + 2 + count], "big"), 2 + count
    end = at + head + length
    if end > len(data):
        raise ValueError("an element ends early")
    return tag, data[at + head : end], data[at:end]


def _parts(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """The elements that follow each other in ``data``."""
    found, at = [], 0
    while at < len(data):
        found.append(_tlv(data, at))
        at += len(found[-1][2])
    return found


# ---------------------------------------------------------------- BLAKE3, for the writer's certificate alone (the BLAKE3 paper, section 2)

_IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
_ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
_STEPS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15), (0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))


def blake3(data: bytes) -> bytes:
    """32 bytes. Slow, and meant for certificates."""
    chunks = [data[at : at + 1024] for at in range(0, len(data), 1024)] or [b""]
    nodes = [_chunk(chunk, number, root=len(chunks) == 1) for number, chunk in enumerate(chunks)]
    while len(nodes) > 1:
        pairs = [nodes[at : at + 2] for at in range(0, len(nodes), 2)]
        flags = 4 | (8 if len(nodes) == 2 else 0)
        nodes = [_compress(_IV, [*pair[0], *pair[1]], 0, 64, flags) if len(pair) == 2 else pair[0] for pair in pairs]
    return struct.pack("<8I", *nodes[0])


def _chunk(chunk: bytes, number: int, *, root: bool) -> tuple[int, ...]:
    value: tuple[int, ...] = _IV
    blocks = [chunk[at : at + 64] for at in range(0, len(chunk), 64)] or [b""]
    for i, block in enumerate(blocks):
        flags = (1 if i == 0 else 0) | ((10 if root else 2) if i == len(blocks) - 1 else 0)
        value = _compress(value, list(struct.unpack("<16I", block.ljust(64, b"\0"))), number, len(block), flags)
    return value


def _compress(chaining: Sequence[int], block: list[int], counter: int, length: int, flags: int) -> tuple[int, ...]:
    v = [*chaining, *_IV[:4], counter & 0xFFFFFFFF, counter >> 32, length, flags]
    for _ in range(7):
        for (a, b, c, d), x, y in zip(_STEPS, block[0::2], block[1::2], strict=True):
            for word, first_turn, second_turn in ((x, 16, 12), (y, 8, 7)):
                v[a] = (v[a] + v[b] + word) & 0xFFFFFFFF
                v[d] = _turn(v[d] ^ v[a], first_turn)
                v[c] = (v[c] + v[d]) & 0xFFFFFFFF
                v[b] = _turn(v[b] ^ v[c], second_turn)
        block = [block[i] for i in _ORDER]
    return tuple(v[i] ^ v[i + 8] for i in range(8))


def _turn(word: int, by: int) -> int:
    return (word >> by | word << (32 - by)) & 0xFFFFFFFF


def certificates(paths: Sequence[Path]) -> list[x509.Certificate]:
    return [one for path in paths for one in x509.load_pem_x509_certificates(path.read_bytes())]


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Check signed evidence offline.")
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--root", action="append", default=[], metavar="HEX", help="public key of the vault's root, or of a host")
    parser.add_argument("--authority", action="append", default=[], type=Path, metavar="PEM", help="root of a time-stamp authority")
    given = parser.parse_args(words)
    verdicts = [verify(path.read_bytes(), given.root, certificates(given.authority)) for path in given.files]
    for path, one in zip(given.files, verdicts, strict=True):
        print(f"{path}: {one.state}", *one.problems, *one.notes, sep="\n  ")  # noqa: T201
    between = gaps(verdicts)
    for text in between:
        print(text)  # noqa: T201
    return 1 if between else max((one.status for one in verdicts), key=(0, 2, 1).index)


if __name__ == "__main__":
    sys.exit(main())
