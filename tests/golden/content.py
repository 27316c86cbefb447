"""What the golden vaults hold, as plain facts: every version of Holdfast must read it out of every format for ever."""

import hashlib

PASSPHRASE = "golden and never secret"


def stream(seed: str, size: int) -> bytes:
    """Bytes that do not compress and never change."""
    blocks = (hashlib.sha256(f"{seed} {number}".encode()).digest() for number in range(size // 32 + 1))
    return b"".join(blocks)[:size]


FIRST = {
    "base/1/1259": stream("relation", 20_000),
    "base/1/1259_fsm": bytes(8192),
    "global/pg_control": stream("control", 8192),
    "PG_VERSION": b"18\n",
    "empty": b"",
    "odd/name with space, é and \udcff": b"odd",
    "large/zeros": bytes(70 << 20) + b"end",
}
SECOND = FIRST | {
    "base/1/1259": FIRST["base/1/1259"][:4096] + stream("changed", 4096) + FIRST["base/1/1259"][8192:],
    "added": b"a new file\n" * 100,
}
LOG_START = 0x3000028
LOG = [stream("log one", 3000), stream("log two", 2000), stream("log three", 1000)]
SCOPE_KEY = "golden scope, never secret"
PEOPLE = {"people": stream("people", 30_000), "PG_VERSION": b"18\n"}
PLAN = "platform: acme\nsystems: {}\n"
RUNBOOKS = {"lost-site.md": "# The site is lost\n", "deep/er.md": "# Größer\n"}
SUITES = {
    "suites/orders.json": '{"name": "orders", "expectations": [{"type": "expect_column_to_exist", "kwargs": {"column": "a"}}]}',
    ".suites/0123456789ab-own.json": '{"expectations": []}\n',
}
