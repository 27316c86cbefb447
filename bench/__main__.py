"""Runs the benchmark: prints a table and writes bench-results/*.json. See bench/README.md."""

import argparse
import sys
import time
from pathlib import Path

from bench import report, trees
from bench.cases import backups, buckets, tables, wal
from bench.cases import trees as tree_cases
from bench.contenders.bound import shared
from bench.results import Results
from tests.servers import ServerMissing

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("empty", "pgbench", "orders", "wal", "files", "large", "bucket", *tables.SHAPES)
TREES = {"files": trees.SMALL, "large": trees.LARGE}
WHOLE = {"gib": 2, "rounds": 5, "wal_gib": 1, "load_seconds": 20}
QUICK = {"gib": 0.1, "rounds": 1, "wal_gib": 0.1, "load_seconds": 4}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make bench BENCH_ARGS=…", description=__doc__)
    parser.add_argument("--gib", type=float, help="size of each kind of data (default 2)")
    parser.add_argument("--rounds", type=int, help="runs of each; the median counts (default 5)")
    parser.add_argument("--quick", action="store_true", help="0.1 GiB, one round, short WAL runs: to see that everything works")
    parser.add_argument("--data", default=",".join(KINDS), help=f"what to measure, by commas: {', '.join(KINDS)}")
    parser.add_argument("--contenders", default=",".join(report.CONTENDERS), help="by commas")
    parser.add_argument("--growth", nargs="?", const="10000,100000", default="", help="also trees of so many small files (10000,100000)")
    parser.add_argument("--objects", type=int, default=buckets.OBJECTS, help="how many objects the bucket holds (4000)")
    parser.add_argument("--object-size", type=int, default=buckets.SIZE, help="bytes of each (262144)")
    parser.add_argument(
        "--bucket-growth",
        nargs="?",
        const="1000,10000,100000",
        default="",
        help="also buckets of so many objects of 4 KiB (1000,10000,100000)",
    )
    parser.add_argument(
        "--table-growth",
        nargs="?",
        const="1000,10000,100000",
        default="",
        help="also tables of so many files of 4 KiB (1000,10000,100000)",
    )
    parser.add_argument("--wal-gib", type=float, help="WAL to catch up with and to replay (default 1)")
    parser.add_argument("--load-seconds", type=float, help="length of each run under pgbench's load (default 20)")
    args = parser.parse_args()
    for name, value in (QUICK if args.quick else WHOLE).items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    if (args.growth or args.bucket_growth or args.table_growth) and "--data" not in " ".join(sys.argv):
        args.data = ""
    kinds, wanted = [kind for kind in args.data.split(",") if kind], set(args.contenders.split(","))
    results = Results()
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:6.0f} s] {text}", file=sys.stderr, flush=True)

    for kind in kinds:
        if kind in TREES:
            shape = trees.small_enough(TREES[kind]) if args.quick else TREES[kind]
            tree_cases.measure(results, kind, shape, args.rounds, wanted, say)
            continue
        if kind == "bucket":
            buckets.measure(results, kind, args.objects // 20 if args.quick else args.objects, args.object_size, args.rounds, wanted, say)
            continue
        if kind in tables.SHAPES:
            count, size = tables.SHAPES[kind]
            tables.measure(results, kind, max(4, count // 20) if args.quick else count, size, args.rounds, wanted, say)
            continue
        if kind == "wal":
            wal.measure(results, args.wal_gib, args.load_seconds, args.rounds, wanted, say)
            continue
        try:
            orders = shared("ORDERS", "orders.sql") if kind == "orders" else Path()
        except ServerMissing as missing:
            results.missing.append(str(missing))
            continue
        backups.measure(results, kind, args.gib, args.rounds, orders, wanted, say)
    if args.growth:
        tree_cases.growth(results, [int(count) for count in args.growth.split(",")], args.rounds, wanted, say)
    if args.bucket_growth:
        buckets.growth(results, [int(count) for count in args.bucket_growth.split(",")], args.rounds, wanted, say)
    if args.table_growth:
        tables.growth(results, [int(count) for count in args.table_growth.split(",")], args.rounds, wanted, say)
    print(report.table(results))
    print()
    print(report.parts(results))
    print(report.verdicts(results))
    path = report.write(results, vars(args), ROOT / "bench-results")
    print(f"\nwritten: {path}")
    return 0


sys.exit(main())
