"""Runs the benchmark: prints a table and writes bench-results/*.json. See bench/README.md."""

import argparse
import sys
import time
from pathlib import Path

from bench import report
from bench.cases import backups, wal
from bench.contenders.bound import shared
from bench.results import Results
from tests.servers import ServerMissing

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench BENCH_ARGS=…", description=__doc__)
    parser.add_argument("--gib", type=float, default=2, help="size of each kind of data (default 2)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each; the median counts (default 5)")
    parser.add_argument("--quick", action="store_true", help="0.25 GiB, three rounds, short WAL runs: to see that everything works")
    parser.add_argument("--data", default="pgbench,orders,wal", help="what to measure, by commas: pgbench, orders, wal")
    parser.add_argument("--contenders", default="bound,pgbackrest,holdfast", help="by commas")
    parser.add_argument("--wal-gib", type=float, default=1, help="WAL to catch up with and to replay (default 1)")
    parser.add_argument("--load-seconds", type=float, default=20, help="length of each run under pgbench's load (default 20)")
    args = parser.parse_args()
    if args.quick:
        args.gib, args.rounds, args.wal_gib, args.load_seconds = 0.25, 3, 0.2, 5
    kinds, wanted = args.data.split(","), set(args.contenders.split(","))
    results = Results()
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:6.0f} s] {text}", file=sys.stderr, flush=True)

    for kind in kinds:
        if kind == "wal":
            wal.measure(results, args.wal_gib, args.load_seconds, args.rounds, wanted, say)
            continue
        try:
            orders = shared("ORDERS", "orders.sql") if kind == "orders" else Path()
        except ServerMissing as missing:
            results.missing.append(str(missing))
            continue
        backups.measure(results, kind, args.gib, args.rounds, orders, wanted, say)
    print(report.table(results))
    print()
    print(report.verdicts(results))
    path = report.write(results, vars(args), ROOT / "bench-results")
    print(f"\nwritten: {path}")
    return 0


sys.exit(main())
