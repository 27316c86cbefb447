#!/usr/bin/env python3
"""Reads a Holdfast vault of format 1 without Holdfast. The specification lies beside this file as FORMAT.md.

    pip install cryptography zstandard blake3 argon2-cffi
    export HOLDFAST_KEY='the passphrase, or the recovery key'
    python3 decoder.py FOLDER --list                               the recovery points
    python3 decoder.py FOLDER --point ID --list                    the files of one
    python3 decoder.py FOLDER --point ID --get PATH --to FILE      one file out of it
    python3 decoder.py FOLDER --logs                               the logs that were kept
    python3 decoder.py FOLDER --log BRANCH --start N --to FILE     a log's bytes from a position on

Systems with a key of their own (a scope) need it too: HOLDFAST_SCOPE_KEYS, one key a line. A slot that a security module opens is of no
use here: take another key.

FOLDER is a location of the vault: the folder that holds `config`. A vault in an object store is copied into a folder first, with any
tool. Everything is checked on the way: signatures, authentication of every frame, identity of every chunk. Nothing is written to FOLDER.
"""

# A script to be read by a person in ten years: types would double its length.
# ruff: noqa: ANN001, ANN201, ANN204, T201
# mypy: disallow-untyped-defs=False, disallow-untyped-calls=False

import argparse
import base64
import datetime as dt
import json
import os
import re
import struct
import sys
from pathlib import Path

import blake3
import zstandard
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

PLAIN_LIMIT = 1 << 28


class Wrong(Exception):
    """What cannot be read, in words."""


def b64(text):
    return base64.b64decode(text, validate=True)


def hkdf(secret, salt, info):
    return HKDF(algorithm=SHA256(), length=32, salt=salt or None, info=info).derive(secret)


def unzstd(data):
    # Where the data itself says how large it becomes, zstandard heeds no limit of ours.
    if zstandard.frame_content_size(data) > PLAIN_LIMIT:
        raise Wrong("it would expand beyond all limits")
    return zstandard.ZstdDecompressor().decompress(data, max_output_size=PLAIN_LIMIT)


def recipient(public):
    return blake3.blake3(public).digest()[:8]


def box_public(private):
    raw = serialization.Encoding.Raw, serialization.PublicFormat.Raw
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes(*raw)


def unbox(box, private):
    """The 32-byte key in a box of 80 bytes."""
    ephemeral, sealed = box[:32], box[32:]
    shared = X25519PrivateKey.from_private_bytes(private).exchange(X25519PublicKey.from_public_bytes(ephemeral))
    return AESGCM(hkdf(shared, ephemeral + box_public(private), b"holdfast box 1")).decrypt(bytes(12), sealed, None)


# ---------------------------------------------------------------- keys

DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def written_key(text):
    """The 32 bytes of a recovery key (hf1-…) or file key (hff1-…)."""
    digits = re.sub(r"[-\s]", "", text.strip().split("-", 1)[1]).upper().replace("O", "0").replace("I", "1").replace("L", "1")
    if len(digits) != 56 or any(digit not in DIGITS for digit in digits):
        raise Wrong("The key is not complete: it has 14 groups of 4 letters and digits.")
    number = 0
    for digit in digits[:52]:
        number = number * 32 + DIGITS.index(digit)
    key = (number >> 4).to_bytes(32, "big")
    bits = int.from_bytes(blake3.blake3(key).digest()[:3], "big") >> 4
    if digits[52:] != "".join(DIGITS[bits >> shift & 31] for shift in (15, 10, 5, 0)):
        raise Wrong("The key's last group does not fit the others: it was copied wrongly.")
    return key


def open_slot(slot, slot_id, secret, shred=b""):
    """The bundle of keys, None when the secret is not this slot's. ``shred``: see FORMAT.md, "Scopes"."""
    given = secret.strip().lower()
    kind = "recovery" if given.startswith("hf1-") else "file" if given.startswith("hff1-") else "passphrase"
    if slot["kind"] != kind:
        return None
    kdf = slot["kdf"]
    if kdf["name"] == "argon2id":
        work = kdf["passes"], kdf["memory_kib"], kdf["lanes"]
        if work[0] > 100 or work[1] > 1 << 20 or work[0] * work[1] > 8 << 20:
            return None  # planted, to exhaust this machine
        key = hash_secret_raw(secret.encode("utf-8", "surrogateescape"), b64(kdf["salt"]), *work, 32, Type.ID)
        if shred:
            key = hkdf(key + shred, b64(kdf["salt"]), b"holdfast slot 1 shred")
    else:
        key = hkdf(written_key(secret) + shred, b64(kdf["salt"]), b"holdfast slot 1 shred" if shred else b"holdfast slot 1")
    ad = bytes.fromhex(slot["vault"]) + slot_id.encode() + slot["role"].encode() + slot.get("scope", "").encode()
    try:
        return json.loads(AESGCM(key).decrypt(b64(slot["nonce"]), b64(slot["sealed"]), ad))
    except InvalidTag:
        return None


class Vault:
    def __init__(self, folder, secret, scope_keys=()):
        self.folder = Path(folder)
        config = self.folder / "config"
        if not config.exists():
            raise Wrong(f"{folder} holds no vault: there is no file 'config' in it.")
        bundle = self.open_any("keys/slots", secret)
        if bundle is None:
            raise Wrong("The key opens none of the vault's slots.")
        self.id = bytes.fromhex(bundle["vault"])
        self.root = b64(bundle["root_public"])
        self.identity = {}
        self.privates = {}
        self.writers = {}
        self.pack_keys = {}
        self.moved = None
        self.revoked = {}
        self.take(bundle)
        self.read_ring()
        for key in scope_keys:
            self.open_scope(key)
        number = self.envelope("config")[0]["format"]
        if number != 1:
            raise Wrong(f"The vault is of format {number}; this reader knows format 1. A newer one lies in the vault itself.")

    # ------------------------------------------------------------ keys

    def open_any(self, part, secret, shred=b""):
        """The bundle of the first slot in a folder that the secret opens."""
        for path in sorted((self.folder / part).iterdir()):
            try:
                bundle = open_slot(json.loads(path.read_bytes()), path.name, secret, shred)
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # damaged, or planted
            if bundle:
                return bundle
        return None

    def hold(self, private):
        self.privates[recipient(box_public(private))] = private

    def take(self, bundle):
        """The keys of a slot, and of the epochs that were made after it and boxed to it."""
        for scope, key in bundle["identity"].items():
            self.identity[scope] = b64(key)
        for epochs in bundle["epochs"].values():
            for epoch in epochs.values():
                if "private" in epoch:
                    self.hold(b64(epoch["private"]))
        if bundle.get("writer"):
            self.hold(b64(bundle["writer"]["box_private"]))
        if "slot_private" not in bundle:
            return
        self.hold(b64(bundle["slot_private"]))
        for scope, known in bundle["epochs"].items():
            for path in sorted((self.folder / "keys/epochs" / scope).glob("*")):
                name = path.relative_to(self.folder).as_posix()
                clear, _, sealed = self.envelope(name)
                if sealed and clear["writer"] == "root" and str(clear["epoch"]) not in known:
                    try:
                        self.hold(b64(json.loads(self.unseal(name, "epoch", scope, sealed))["private"]))
                    except Wrong:
                        continue  # the slot was removed before this epoch

    def open_scope(self, secret):
        opened = 0
        for folder in sorted((self.folder / "keys/scopes").glob("*")):
            shred, name = b"", f"keys/shreds/{folder.name}"
            if (self.folder / name).exists():
                shred = self.unseal(name, "shred", "vault", self.envelope(name)[2])
            bundle = self.open_any(f"keys/scopes/{folder.name}", secret, shred)
            if bundle and b64(bundle["root_public"]) == self.root:
                self.take(bundle)
                opened += 1
        if not opened:
            raise Wrong("One of the keys in HOLDFAST_SCOPE_KEYS opens no scope of the vault.")

    def read_ring(self):
        """From the newest keyring that the root signed: which writers were revoked, and what they had signed by then."""
        for path in sorted((self.folder / "keys/ring").glob("*"), reverse=True):
            try:
                clear, _, _ = self.envelope(f"keys/ring/{path.name}")
            except (Wrong, ValueError, KeyError, struct.error):
                continue
            if clear["writer"] == "root" and clear["kind"] == "ring":
                for writer, at in clear["revoked"].items():
                    moment = int(dt.datetime.fromisoformat(at).timestamp() * 1000)
                    lists, data, _ = self.envelope(f"keys/revoked/{writer}/{moment:012x}")
                    if lists["writer"] == "root":
                        self.revoked[writer] = {data[i : i + 48] for i in range(0, len(data), 48)}
                return

    # ------------------------------------------------------------ envelopes

    def signer(self, writer):
        """A writer's public key, out of its certificate by the root."""
        if writer == "root":
            return self.root
        if writer not in self.writers:
            clear, _, _ = self.envelope(f"keys/writers/{writer}")
            if clear["writer"] != "root" or clear["kind"] != "writer":
                raise Wrong(f"The certificate of the writer {writer} is not the root's.")
            self.writers[writer] = b64(clear["sign_public"])
        return self.writers[writer]

    def envelope(self, name):
        """(clear part, list of packs, sealed body) of a small object, with its signature checked."""
        data = (self.folder / name).read_bytes()
        if data[:8] != b"HFENV1\r\n":
            raise Wrong(f"{name} is no envelope.")
        parts, at = [], 8
        for form in ("<I", "<Q", "<Q"):
            (length,) = struct.unpack_from(form, data, at)
            at += struct.calcsize(form)
            parts.append(data[at : at + length])
            at += length
        clear = json.loads(parts[0])
        raw = name.encode()
        message = b"holdfast envelope 1\0" + self.id + struct.pack("<H", len(raw)) + raw + blake3.blake3(data[:at]).digest()
        self.verify(clear["writer"], data[at:], message, name)
        if clear["writer"] in self.revoked:
            entry = blake3.blake3(raw).digest()[:16] + message[-32:]
            if entry not in self.revoked[clear["writer"]]:
                raise Wrong(f"{name} was signed by a writer that had been revoked.")
        return clear, parts[1], parts[2]

    def verify(self, writer, signature, message, name):
        try:
            Ed25519PublicKey.from_public_bytes(self.signer(writer)).verify(signature, message)
        except InvalidSignature:
            raise Wrong(f"{name} is not what its writer signed: it is damaged, or forged.") from None

    def unseal(self, name, kind, scope, sealed):
        """The plain body of an envelope."""
        ad = self.id + name.encode()
        if sealed[0] == 2:
            key, rest = hkdf(self.identity[scope], b"", b"holdfast shared " + kind.encode()), sealed[1:]
        else:
            boxes = {sealed[2 + 88 * i : 10 + 88 * i]: sealed[10 + 88 * i : 90 + 88 * i] for i in range(sealed[1])}
            key, rest = self.open_box(boxes, name), sealed[2 + 88 * sealed[1] :]
        return unzstd(AESGCM(key).decrypt(rest[:12], rest[12:], ad))

    def open_box(self, boxes, name):
        for holder, box in boxes.items():
            if holder in self.privates:
                return unbox(box, self.privates[holder])
        raise Wrong(f"This key may not read {name}; use an owner's or a reader's key.")

    # ------------------------------------------------------------ packs

    def pack_file(self, pack):
        found = list((self.folder / "packs" / pack.hex()[:2]).glob(f"{pack.hex()}-*"))
        return found[0] if found else None

    def pack_key(self, pack, path):
        if pack not in self.pack_keys:
            with path.open("rb") as file:
                magic, length = struct.unpack("<8sI", file.read(12).ljust(12, b"\0"))
                text = file.read(min(length, 1 << 20))
            try:
                header = json.loads(text)
                if magic != b"HFPACK1\n" or header["pack"] != pack.hex() or header["vault"] != self.id.hex():
                    raise Wrong(f"{path.name} is not the pack that its name says.")
                boxes = {b64(holder): b64(box) for holder, box in header["boxes"]}
            except (ValueError, KeyError, TypeError):
                raise Wrong(f"The header of the pack {path.name} is damaged; another location may hold a sound copy.") from None
            self.pack_keys[pack] = self.open_box(boxes, path.name)
        return self.pack_keys[pack]

    def frame(self, pack, offset, whole):
        """The plain bytes of the frame of ``whole`` bytes at ``offset`` of a pack."""
        path = self.pack_file(pack)
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read(whole)
        magic, number, plain_length, sealed_length, codec = struct.unpack_from("<4sIIIB", data)
        if magic != b"HFFR" or sealed_length != len(data) - 20:
            raise Wrong(f"There is no frame at {offset} of {path.name}.")
        nonce = bytes(4) + struct.pack("<Q", number)
        plain = AESGCM(self.pack_key(pack, path)).decrypt(nonce, data[20:], self.id + pack + data[:20])
        plain = unzstd(plain) if codec == 1 else plain
        if len(plain) != plain_length:
            raise Wrong(f"The frame at {offset} of {path.name} has another length than it says.")
        return plain

    def chunk(self, scope, identity, place):
        """A chunk's bytes. ``place``: pack id, frame offset, frame length, offset in the frame, length."""
        pack, offset, whole, at, length = place
        if self.pack_file(pack) is None:
            if self.moved is None:
                self.moved = dict(self.all_chunks())
            if identity not in self.moved:
                raise Wrong(f"The pack {pack.hex()} is missing, and no other holds the chunk {identity.hex()}.")
            pack, offset, whole, at, length = self.moved[identity]
        data = self.frame(pack, offset, whole)[at : at + length]
        if blake3.blake3(data, key=self.identity[scope]).digest() != identity:
            raise Wrong(f"A chunk of the pack {pack.hex()} is not what it should be.")
        return data

    def all_chunks(self):
        """(identity, place) of every chunk, by the packs' trailers."""
        for path in sorted((self.folder / "packs").glob("*/*")):
            pack = bytes.fromhex(path.name[:32])
            data = path.read_bytes()
            offset, length, _, magic = struct.unpack("<QI64s8s", data[-84:])
            if magic != b"HFPEND1\n":
                continue
            sealed = data[offset : offset + length]
            # The nonce holds the number of frames, which the trailer tells only when opened: each starts with its magic, so count them.
            frames, at = 0, 12 + struct.unpack_from("<I", data, 8)[0]
            while at < offset:
                frames, at = frames + 1, at + 20 + struct.unpack_from("<I", data, at + 12)[0]
            nonce = b"\xff\xff\xff\xff" + struct.pack("<Q", frames)
            try:
                self.pack_key(pack, path)
            except Wrong:
                continue  # of a scope whose key is not here, or damaged
            plain = unzstd(AESGCM(self.pack_key(pack, path)).decrypt(nonce, sealed, self.id + pack + b"trailer"))
            at = 4
            for _ in range(frames):
                offset, sealed_length, chunks = struct.unpack_from("<QII", plain, at)
                at, inside = at + 16, 0
                for _ in range(chunks):
                    identity, length = struct.unpack_from("<32sI", plain, at)
                    yield identity, (pack, offset, sealed_length + 20, inside, length)
                    at, inside = at + 36, inside + length

    def referenced(self, scope, row):
        """The chunk of a chunk reference in JSON."""
        identity, pack, *place = row
        return self.chunk(scope, bytes.fromhex(identity), (bytes.fromhex(pack), *place))

    # ------------------------------------------------------------ recovery points

    def points(self):
        """(id, clear part, body) of every committed point."""
        for path in sorted((self.folder / "points").iterdir()):
            name = f"points/{path.name}"
            drop = f"{name}.dropped"  # the root signed that a prune is removing it: what it needs may be gone already
            if len(path.name) != 32 or ((self.folder / drop).exists() and self.envelope(drop)[0]["writer"] == "root"):
                continue
            try:
                clear, _, sealed = self.envelope(name)
            except Wrong as error:
                print(error, file=sys.stderr)
                continue
            if clear["kind"] == "point" and clear["scope"] not in self.identity:
                print(f"{path.name} belongs to a scope whose key was not given.", file=sys.stderr)
            elif clear["kind"] == "point":
                yield path.name, clear, json.loads(self.unseal(name, "point", clear["scope"], sealed))

    def point(self, wanted):
        found = [one for one in self.points() if one[0].startswith(wanted)]
        if len(found) != 1:
            raise Wrong(f"{len(found)} recovery points begin with {wanted!r}.")
        return found[0]

    def entries(self, clear, body):
        for segment in body["tree"]:
            for line in self.referenced(clear["scope"], segment["ref"]).split(b"\n"):
                if line:
                    yield json.loads(line)

    def content(self, scope, entry):
        """The pieces of a file."""
        lists = [b64(entry["c"])] if entry.get("c") else [self.referenced(scope, row) for row in entry.get("r", [])]
        for data in lists:
            count, _, packs = struct.unpack_from("<III", data)
            ids = 12 + 16 * packs
            columns = [struct.unpack_from(f"<{count}I", data, ids + (32 + 4 * i) * count) for i in range(5)]
            for i, (number, offset, whole, at, length) in enumerate(zip(*columns, strict=True)):
                identity = data[ids + 32 * i : ids + 32 * i + 32]
                if identity == bytes(32):
                    yield bytes(length)
                else:
                    yield self.chunk(scope, identity, (data[12 + 16 * number : 28 + 16 * number], offset, whole, at, length))

    # ------------------------------------------------------------ logs

    def increments(self):
        """(system, branch, start, end, object name) of every log increment, by what is inside it."""
        for path in sorted((self.folder / "logs").glob("*/*/*")):
            name = path.relative_to(self.folder).as_posix()
            try:
                head, _ = self.increment(name)
            except Wrong as error:
                print(error, file=sys.stderr)
                continue
            yield head["system"], head["branch"], head["start"], head["end"], name

    def increment(self, name):
        clear, _, sealed = self.envelope(name)
        if clear.get("scope", "vault") not in self.identity:
            raise Wrong(f"{name} belongs to a scope whose key was not given.")
        plain = self.unseal(name, "log", clear.get("scope", "vault"), sealed)
        (length,) = struct.unpack_from("<I", plain)
        return json.loads(plain[4 : 4 + length]), plain[4 + length :]


# ---------------------------------------------------------------- the command


def show_points(vault):
    for number, clear, body in vault.points():
        point = body.get("point", body)
        print(number, clear["at"], point.get("system", ""), point.get("method", ""), point.get("label") or "")


def get_file(vault, wanted, path, target):
    _, clear, body = vault.point(wanted)
    entry = next((one for one in vault.entries(clear, body) if one["p"] == path and one["k"] == "f"), None)
    if entry is None:
        raise Wrong(f"There is no file {path!r} in that point; see --point {wanted} --list.")
    size = 0
    with open(target, "xb") as file:  # noqa: PTH123
        for piece in vault.content(clear["scope"], entry):
            file.write(piece)
            size += len(piece)
    if size != entry["s"]:
        raise Wrong(f"{path} came out with {size} bytes instead of {entry['s']}.")
    print(f"{size} bytes, all checked.")


def get_log(vault, branch, start, target):
    found = sorted((low, high, name) for _, its, low, high, name in vault.increments() if its == branch)
    position = found[0][0] if start is None and found else start
    with open(target, "xb") as file:  # noqa: PTH123
        while usable := [one for one in found if one[0] <= position < one[1]]:
            low, high, name = max(usable, key=lambda one: one[1])
            file.write(vault.increment(name)[1][position - low :])
            position = high
    behind = [low for low, _, _ in found if low > (position or 0)]
    print(f"Up to {position:#x}." if found else "There is no such log.", f"Missing from there to {min(behind):#x}." if behind else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--point")
    parser.add_argument("--get")
    parser.add_argument("--logs", action="store_true")
    parser.add_argument("--log")
    parser.add_argument("--start", type=lambda text: int(text, 0))
    parser.add_argument("--to")
    asked = parser.parse_args()
    if "HOLDFAST_KEY" not in os.environ:
        raise Wrong("Put the passphrase or the recovery key into the environment variable HOLDFAST_KEY.")
    scope_keys = [key for key in os.environ.get("HOLDFAST_SCOPE_KEYS", "").splitlines() if key]
    vault = Vault(asked.folder, os.environ["HOLDFAST_KEY"], scope_keys)
    if asked.get and asked.point and asked.to:
        get_file(vault, asked.point, os.fsdecode(os.fsencode(asked.get)), asked.to)
    elif asked.log and asked.to:
        get_log(vault, asked.log, asked.start, asked.to)
    elif asked.point and asked.list:
        _, clear, body = vault.point(asked.point)
        for entry in vault.entries(clear, body):
            print(entry["k"], f"{entry['s']:>14}", entry["p"].encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
    elif asked.list:
        show_points(vault)
    elif asked.logs:
        for system, branch, start, end, _ in vault.increments():
            print(system, branch, f"{start:#x} {end:#x}")
    else:
        parser.print_help()


if __name__ == "__main__":
    try:
        main()
    except (Wrong, InvalidTag, OSError, KeyError, ValueError, struct.error, zstandard.ZstdError) as error:
        said = "bytes that cannot be authenticated: another key, or damage" if isinstance(error, InvalidTag) else str(error)
        sys.exit(f"decoder: {said}")
