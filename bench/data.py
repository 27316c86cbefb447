"""What is backed up: a PostgreSQL 15 server with pgbench's rows (compress 20:1) a shop's orders (about 2.5:1), or nothing."""

import random
from pathlib import Path

from tests.servers import PostgresServer

# What a server in production would have; nothing that speeds up one contender.
SETTINGS = {
    "fsync": "on",
    "shared_buffers": "256MB",
    "maintenance_work_mem": "256MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "30min",
    # Its writes at a moment of its choosing would disturb one contender and not another.
    "autovacuum": "off",
    "archive_mode": "on",
    "archive_command": "true",
    "synchronous_commit": "on",
    "max_connections": "60",
}


def server(kind: str, gib: float, orders: Path) -> PostgresServer:
    """A running server with about ``gib`` GiB of data of the kind (none for "empty"), checkpointed."""
    made = PostgresServer.create(15, settings=SETTINGS)
    if kind == "pgbench":
        made.pgbench("-i", "-q", "-s", str(max(1, round(gib * 66))), "-I", "dtgvp", timeout=3600)
    elif kind == "orders":
        script = made.folder / "orders.sql"
        script.write_text(orders.read_text())
        script.chmod(0o644)
        made.tool("psql", "-q", "-v", "ON_ERROR_STOP=1", "-v", f"scale={max(1, round(gib * 100))}", "-f", script, "postgres", timeout=3600)
    made.execute("checkpoint")
    return made


def change_pages(made: PostgresServer, kind: str, share: float, seed: int) -> int:
    """Updates one row in each of ``share`` of the main table's pages, chosen at random; returns how many pages were chosen. Checkpoints."""
    table, column, key = ("pgbench_accounts", "abalance", "aid") if kind == "pgbench" else ("orders", "customer_id", "id")
    pages = made.value(f"select pg_relation_size('{table}') / 8192")
    rows = made.value(f"select reltuples::bigint from pg_class where relname = '{table}'")
    chosen = max(1, int(pages * share))
    draw = random.Random(seed)
    keys = [draw.randint(1, rows) for _ in range(chosen)]
    made.execute(f"update {table} set {column} = {column} + 1 where {key} = any(%s)", [keys])
    made.execute("checkpoint")
    return chosen


def damage_pages(folder: Path, share: float, seed: int) -> None:
    """Overwrites ``share`` of the pages of a stopped data directory's large files with noise, alike for each contender."""
    draw = random.Random(seed)
    for path in sorted((folder / "base").rglob("*")):
        if not path.is_file() or path.stat().st_size < 1 << 20:
            continue
        with path.open("r+b") as handle:
            for page in draw.sample(range(path.stat().st_size // 8192), max(1, int(path.stat().st_size / 8192 * share))):
                handle.seek(page * 8192)
                handle.write(draw.randbytes(8192))
