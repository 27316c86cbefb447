"""Ways to falsify a report. Each takes a report's bytes, another report's, a random source, and gives bytes that say something else, or
that were not signed so. ``forge`` signs with a key of the liar's own.
"""

import copy
import json
import random
import unicodedata

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from holdfast.evidence.verifier import FORMAT, canonical, sha256


def parsed(data: bytes) -> dict:
    return json.loads(data)


def written(document) -> bytes:
    return canonical(document) + b"\n"


def forge(evidence: dict, key: Ed25519PrivateKey, *, claim: bool = True) -> bytes:
    """Signed with ``key``; ``claim``: the report says that this key is the host's."""
    if claim:
        public = key.public_key().public_bytes_raw()
        evidence["signer"]["public"] = public.hex()
        evidence["host"]["key"] = sha256(public)[:16]
    return written({"evidence": evidence, "signature": key.sign(FORMAT.encode() + b"\0" + canonical(evidence)).hex()})


def leaves(value, path=()):
    """(path, value) of everything in a document that is no list or object."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from leaves(below, (*path, key))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from leaves(below, (*path, number))
    else:
        yield path, value


def put(document, path, value):
    for step in path[:-1]:
        document = document[step]
    document[path[-1]] = value


def other(value, chance: random.Random):
    if isinstance(value, bool) or value is None:
        return not value
    if isinstance(value, str):
        return value + "x" if not value or chance.random() < 0.3 else value[:-1] + ("0" if value[-1] != "0" else "1")
    return value + chance.choice([1, -1, 0.5])


# ---------------------------------------------------------------- bytes


def flip_bit(data, _, chance):
    at = chance.randrange(len(data))
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]


def change_digit(data, _, chance):
    at = chance.choice([at for at, byte in enumerate(data) if chr(byte).isdigit()])
    return data[:at] + str((int(chr(data[at])) + chance.randrange(1, 10)) % 10).encode() + data[at + 1 :]


def change_letter(data, _, chance):
    at = chance.choice([at for at, byte in enumerate(data) if chr(byte).isalpha()])
    return data[:at] + (b"q" if data[at] != ord("q") else b"z") + data[at + 1 :]


def change_structure(data, _, chance):
    at = chance.choice([at for at, byte in enumerate(data) if byte in b'{}[]:,"\\'])
    return data[:at] + chance.choice([b"", b" ", b",", b"[", b"}"]) + data[at + 1 :]


def cut_end(data, _, chance):
    return data[: chance.randrange(len(data))]


def cut_middle(data, _, chance):
    at = chance.randrange(len(data) - 10)
    return data[:at] + data[at + chance.randrange(1, 10) :]


def put_in(data, _, chance):
    at = chance.randrange(len(data))
    return data[:at] + chance.choice([b"0", b" ", b"\n", b"a", b"\xff"]) + data[at:]


def twice(data, _, __):
    return data + data


def no_newline(data, _, __):
    return data[:-1]


def crlf(data, _, __):
    return data[:-1] + b"\r\n"


def byte_order_mark(data, _, __):
    return b"\xef\xbb\xbf" + data


def pretty(data, _, __):
    return json.dumps(parsed(data), indent=1, sort_keys=True).encode() + b"\n"


def keys_reordered(data, _, __):
    found = parsed(data)
    return json.dumps({"signature": found["signature"], "evidence": found["evidence"]}, separators=(",", ":")).encode() + b"\n"


# ---------------------------------------------------------------- JSON and Unicode


def key_twice(data, _, __):
    return data.replace(b'"outcome":"ok"', b'"outcome":"failed","outcome":"ok"', 1).replace(
        b'{"evidence":', b'{"evidence":{},"evidence":', 1
    )


def key_twice_equal(data, _, __):
    return data.replace(b'"platform":"shop"', b'"platform":"shop","platform":"shop"', 1)


def escaped_letter(data, _, __):
    return data.replace(b'"platform":"shop"', b'"platform":"sh\\u006fp"', 1)


def raw_utf8(data, _, __):
    return json.dumps(parsed(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n\n"


def homoglyph(data, _, __):
    return data.replace(b'"platform":"shop"', b'"platform":"sh\\u043ep"', 1)


def zero_width(data, _, __):
    return data.replace(b'"platform":"shop"', b'"platform":"shop\\u200b"', 1)


def normal_form(data, _, __):
    found = parsed(data)
    found["evidence"]["platform"] = unicodedata.normalize("NFD", found["evidence"]["platform"] + "é")
    return written(found)


def number_spelled_otherwise(data, _, __):
    at = data.index(b'"number":') + 9
    end = data.index(b",", at)
    return data[:at] + data[at:end] + b".0" + data[end:]


def capital_signature(data, _, __):
    found = parsed(data)
    found["signature"] = found["signature"].upper()
    return written(found)


# ---------------------------------------------------------------- content, with the old signature


def edit_anything(data, _, chance):
    found = parsed(data)
    path, value = chance.choice(list(leaves(found["evidence"])))
    put(found["evidence"], path, other(value, chance))
    return written(found)


def outcome(data, _, __):
    found = parsed(data)
    found["evidence"]["results"]["outcome"] = "failed" if found["evidence"]["results"]["outcome"] == "ok" else "ok"
    return written(found)


def extra_field(data, _, __):
    found = parsed(data)
    found["evidence"]["approved"] = "yes"
    return written(found)


def extra_part(data, _, __):
    found = parsed(data)
    found["remark"] = "all is well"
    return written(found)


def field_gone(data, _, chance):
    found = parsed(data)
    del found["evidence"][chance.choice(sorted(found["evidence"]))]
    return written(found)


def lines_reordered(data, _, __):
    found = parsed(data)
    found["evidence"]["journal"]["lines"].reverse()
    return written(found)


def line_gone(data, _, chance):
    found = parsed(data)
    lines = found["evidence"]["journal"]["lines"]
    del lines[chance.randrange(len(lines))]
    return written(found)


def renumbered(data, _, chance):
    found = parsed(data)
    found["evidence"]["number"] += chance.choice([1, -1, 100])
    return written(found)


def anchor_swapped(data, another, _):
    found = parsed(data)
    found["evidence"]["anchor"] = parsed(another)["evidence"]["anchor"]
    return written(found)


def anchor_gone(data, _, __):
    found = parsed(data)
    found["evidence"]["anchor"] = None
    return written(found)


def signature_swapped(data, another, _):
    return written({**parsed(data), "signature": parsed(another)["signature"]})


def spliced(data, another, chance):
    found, theirs = parsed(data), parsed(another)
    for part in chance.sample(["results", "steps", "journal", "test", "clocks", "backup", "scope"], 3):
        found["evidence"][part] = theirs["evidence"][part]
    if canonical(found) == canonical(parsed(data)):
        found["evidence"]["issued"] = theirs["evidence"]["issued"]
    return written(found)


# ---------------------------------------------------------------- signed again with another key


def signed_again(data, _, __):
    return forge(parsed(data)["evidence"], Ed25519PrivateKey.generate())


def signed_again_and_changed(data, _, chance):
    evidence = parsed(data)["evidence"]
    evidence["people"] = [{"role": "approved", "name": "the head of data", "at": evidence["issued"]["at"]}]
    del chance
    return forge(evidence, Ed25519PrivateKey.generate())


def signed_again_without_claim(data, _, __):
    return forge(parsed(data)["evidence"], Ed25519PrivateKey.generate(), claim=False)


def signed_again_without_certificate(data, _, __):
    evidence = parsed(data)["evidence"]
    evidence["signer"].update(certificate=None, writer=None)
    return forge(evidence, Ed25519PrivateKey.generate())


def signed_again_with_own_certificate(data, _, __):
    """The liar certifies the key as a writer would, and keeps the real writer's certificate."""
    evidence, key, writer = parsed(data)["evidence"], Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    body = {**evidence["signer"]["certificate"]["host"], "public": key.public_key().public_bytes_raw().hex()}
    signature = writer.sign(b"holdfast host 1\0" + canonical(body)).hex()
    evidence["signer"]["certificate"] = {"host": body, "signature": signature}
    return forge(evidence, key)


def signed_by_another_vault(data, another, _):
    """``another`` is of another vault: its signer is put in, and the rest signed by the liar."""
    evidence = parsed(data)["evidence"]
    evidence["signer"] = copy.deepcopy(parsed(another)["evidence"]["signer"])
    return forge(evidence, Ed25519PrivateKey.generate())


ALL = [
    flip_bit, change_digit, change_letter, change_structure, cut_end, cut_middle, put_in, twice, no_newline, crlf, byte_order_mark, pretty,
    keys_reordered, key_twice, key_twice_equal, escaped_letter, raw_utf8, homoglyph, zero_width, normal_form, number_spelled_otherwise,
    capital_signature, edit_anything, outcome, extra_field, extra_part, field_gone, lines_reordered, line_gone, renumbered, anchor_swapped,
    anchor_gone, signature_swapped, spliced, signed_again, signed_again_and_changed, signed_again_without_claim,
    signed_again_without_certificate, signed_again_with_own_certificate, signed_by_another_vault,
]  # fmt: skip
