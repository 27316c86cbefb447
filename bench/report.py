"""The table for people and the JSON for machines."""

import datetime as dt
import json
import os
import platform
from pathlib import Path
from typing import Any

from bench.results import MEMORY, Results, heaviest, judged

CONTENDERS = ("bound", "pgbackrest", "restic", "borg", "rustic", "rclone", "bucket", "holdfast")
MIB = 1 << 20


def table(results: Results) -> str:
    """Medians side by side; the last column is the peer's time over Holdfast's."""
    lines = [
        f"{'data':<8} {'case':<18} {'contender':<11} {'seconds':>8} {'CPU s':>7} {'anon MiB':>9} {'stored MiB':>11} {'other':<52}",
        "-" * 128,
    ]
    for line in results.lines():
        extra = {key: value for key, value in line.items() if key not in SHOWN}
        lines.append(
            f"{line['data']:<8} {line['case']:<18} {line['contender']:<11} {_number(line['seconds'], 2):>8} {_number(line['cpu'], 1):>7} "
            f"{_number(line['anonymous'], 0, MIB):>9} {_number(line.get('stored'), 1, MIB):>11} "
            + " ".join(f"{key}={value:,.3g}" for key, value in extra.items())
        )
    return "\n".join(lines)


SHOWN = {"data", "case", "contender", "seconds", "cpu", "anonymous", "stored", "rounds"}


def parts(results: Results) -> str:
    """A full backup's time and CPU apart: what an empty server costs, and what each GiB above it costs."""
    lines = []
    for kind in ("pgbench", "orders"):
        gib = (results.median(kind, "data", "server", "bytes") or 0) / (1 << 30)
        for name in CONTENDERS:
            for what in ("seconds", "cpu"):
                fixed, whole = results.median("empty", "full", name, what), results.median(kind, "full", name, what)
                if gib and fixed and whole:
                    lines.append(f"{kind:<8} full, {name:<11} {what:<8} {fixed:6.2f} fixed + {(whole - fixed) / gib:6.2f} for each GiB")
    lines += per_gib(results)
    return "\n".join([*lines, ""]) if lines else ""


def per_gib(results: Results) -> list[str]:
    """Rate, and CPU seconds for each GiB, of what is copied from and to object stores."""
    lines = []
    for data in dict.fromkeys(data for data, _, _ in results.rounds):
        sizes = (facts["bytes"] for (of, case, _), facts in results.facts.items() if (of, case) == (data, "data") and "objects" in facts)
        size = next(sizes, 0)
        for case in ("first", "restore"):
            for name in CONTENDERS:
                seconds, cpu = results.median(data, case, name), results.median(data, case, name, "cpu")
                if size and seconds and cpu is not None:
                    rate, each = size / MIB / seconds, cpu / size * (1 << 30)
                    lines.append(f"{data:<8} {case:<8} {name:<11} {rate:8,.0f} MiB/s, {each:6.2f} CPU seconds for each GiB")
    return lines


def verdicts(results: Results) -> str:
    lines = []
    measured = {data for data, _, _ in [*results.rounds, *results.facts]}
    for one in judged(results):
        if one["data"] not in measured:
            continue
        if "peer" in one:
            limit = f"{one['peer']}, at least {one['at_least']:.2f}×"
            found = "-" if one["ratio"] is None else f"{one['ratio']:.2f}×"
        else:
            limit = f"at most {one['at_most']}"
            found = "-" if one["value"] is None else f"{one['value']:.3f}"
        lines.append(_verdict(one["data"], one["case"], one["what"], found, limit, met=one["met"]))
    peak = heaviest(results, "holdfast")
    if peak:
        lines.append(_verdict("all", "", "anonymous MiB", f"{peak / MIB:.0f}", f"at most {MEMORY // MIB}", met=peak <= MEMORY))
    return "\n".join([*lines, *(f"not measured: {one}" for one in results.missing)])


def _verdict(data: str, case: str, what: str, found: str, limit: str, *, met: bool | None) -> str:
    said = "not measured" if met is None else "met" if met else "MISSED"
    return f"{data:<8} {case:<18} {what:<15} {found:>8}  ({limit + ')':<30} {said}"


def write(results: Results, settings: dict[str, Any], folder: Path) -> Path:
    """bench-results/<UTC time>.json; the newest also as latest.json."""
    folder.mkdir(exist_ok=True)
    now = dt.datetime.now(dt.UTC)
    document = {
        "at": now.isoformat(timespec="seconds"),
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
        "settings": settings,
        "results": results.lines(),
        "targets": judged(results),
        "anonymous_peak": {name: heaviest(results, name) for name in CONTENDERS},
        "missing": results.missing,
    }
    path = folder / f"{now:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(document, indent=1) + "\n")
    (folder / "latest.json").write_text(path.read_text())
    return path


def _number(value: float | None, digits: int, unit: int = 1) -> str:
    return "" if value is None else f"{value / unit:,.{digits}f}"
