"""Accounts of a MinIO, by its admin API: made, allowed everything in its buckets, and disabled from one moment to the next.

Bodies are encrypted to the administrator's secret as MinIO's own client does: salt 32 ‖ 0 ‖ nonce 8 ‖ AES-256-GCM in one fragment, key by
Argon2id (1 pass, 64 MiB, 4 lanes). Source: github.com/minio/madmin-go (encrypt.go) and github.com/secure-io/sio-go.
"""

import hashlib
import json
import secrets
import urllib.request
from typing import Any
from urllib.parse import urlencode

from argon2.low_level import Type, hash_secret_raw
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.servers.minio import MinioServer


def make_user(server: MinioServer) -> dict[str, str]:
    """A new account with all rights in all buckets, as credentials of a location."""
    name, secret = f"user{secrets.token_hex(4)}", secrets.token_hex(16)
    _call(server, "add-user", {"accessKey": name}, {"secretKey": secret, "status": "enabled"})
    _call(server, "set-user-or-group-policy", {"policyName": "readwrite", "userOrGroup": name, "isGroup": "false"})
    return {"access_key_id": name, "secret_access_key": secret}


def set_enabled(server: MinioServer, user: dict[str, str], *, enabled: bool) -> None:
    _call(server, "set-user-status", {"accessKey": user["access_key_id"], "status": "enabled" if enabled else "disabled"})


def _call(server: MinioServer, what: str, query: dict[str, str], body: dict[str, Any] | None = None) -> None:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    data = b"" if body is None else _encrypted(server.secret_key, json.dumps(body).encode())
    url = f"{server.endpoint}/minio/admin/v3/{what}?{urlencode(sorted(query.items()))}"
    request = AWSRequest("PUT", url, data=data, headers={"x-amz-content-sha256": hashlib.sha256(data).hexdigest()})
    SigV4Auth(Credentials(server.access_key, server.secret_key), "s3", server.region).add_auth(request)
    with urllib.request.urlopen(urllib.request.Request(url, data, dict(request.headers), method="PUT"), timeout=30) as answer:
        assert answer.status == 200


def _encrypted(password: str, plain: bytes) -> bytes:
    salt, nonce = secrets.token_bytes(32), secrets.token_bytes(8)
    cipher = AESGCM(hash_secret_raw(password.encode(), salt, 1, 64 << 10, 4, 32, Type.ID))
    # The tag of nothing under counter 0 is the associated data of each fragment, behind a byte that marks the last one.
    tag = cipher.encrypt(nonce + (0).to_bytes(4, "little"), b"", b"")
    return salt + b"\0" + nonce + cipher.encrypt(nonce + (1).to_bytes(4, "little"), plain, b"\x80" + tag)
