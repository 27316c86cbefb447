"""Status in Prometheus' text format, for the node exporter's textfile collector.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/ (text, version 0.0.4).
"""

import math
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from holdfast.errors import Unreachable
from holdfast.protection.status import WORST, PlatformStatus

_BEHIND = {
    "points": "Recovery points that the location lacks and another one has; +Inf when it could not be asked.",
    "packs": "Packs that these points need and the location lacks.",
    "bytes": "Bytes of these packs.",
    "log_seconds": "From the newest log in the location to the newest in any.",
}

Sample = tuple[dict[str, str], float]


class MetricsUnwritable(Unreachable):
    """The file for Prometheus could not be replaced."""

    code = "metrics-unwritable"


def text(status: PlatformStatus) -> str:
    """The whole file. What is unknown is +Inf, so that an alert on a limit fires for it too."""
    systems = status.systems
    blocks = [
        block(
            "holdfast_state",
            "1 for the state that the system is in: ok, missed or unknown.",
            [({"system": s.system.name, "state": state}, float(s.state == state)) for s in systems for state in WORST],
        ),
        block(
            "holdfast_exposure_seconds",
            "Time whose changes would be lost if the system were gone now.",
            [
                ({"system": s.system.name, "location": e.location}, math.inf if e.lost is None else e.lost.total_seconds())
                for s in systems
                for e in s.exposures
            ],
        ),
        block(
            "holdfast_rpo_seconds",
            "Promised limit of the exposure.",
            [
                ({"system": s.system.name, "location": e.location}, e.promised.total_seconds())
                for s in systems
                for e in s.exposures
                if e.promised is not None
            ],
        ),
        *(
            block(
                f"holdfast_behind_{what}",
                told,
                [
                    ({"system": s.system.name, "location": e.location}, float(getattr(e.behind, what) or 0) if e.behind else math.inf)
                    for s in systems
                    for e in s.exposures
                ],
            )
            for what, told in _BEHIND.items()
        ),
        block(
            "holdfast_rto_seconds",
            "Promised time to be back.",
            [({"system": s.system.name}, s.system.rto.total_seconds()) for s in systems if s.system.rto is not None],
        ),
        block(
            "holdfast_restore_seconds",
            "Measured time of a restore, median; +Inf when none was measured.",
            [({"system": s.system.name}, s.past.restore.seconds if s.past.restore else math.inf) for s in systems],
        ),
        block(
            "holdfast_last_backup_timestamp_seconds",
            "Commit time of the newest recovery point.",
            [({"system": s.system.name}, s.last_backup.timestamp()) for s in systems if s.last_backup is not None],
        ),
        block(
            "holdfast_last_proof_timestamp_seconds",
            "When the depth of proof was last tried.",
            [({"system": s.system.name, "tier": tier}, proof.at.timestamp()) for s in systems for tier, proof in s.proofs.items()],
        ),
        block(
            "holdfast_last_proof_ok",
            "1 when the last proof passed, 0 when it failed.",
            [({"system": s.system.name, "tier": tier}, float(proof.ok)) for s in systems for tier, proof in s.proofs.items()],
        ),
        block("holdfast_points", "Recovery points.", [({"system": s.system.name}, float(s.points)) for s in systems]),
        block(
            "holdfast_paused",
            "1 while a person has paused the system's schedule.",
            [({"system": s.system.name}, float(s.past.pause is not None)) for s in systems],
        ),
        block("holdfast_status_timestamp_seconds", "When this was found.", [({}, status.at.timestamp())]),
    ]
    return "".join(blocks)


def write(path: Path, content: str) -> None:
    """Replace the file in one step: a collector sees the old one or the new one, whole. Raises MetricsUnwritable."""
    # Beside it, since a rename is atomic only within a file system; hidden and without .prom, so that no collector reads it.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, content.encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise MetricsUnwritable(
            f"{path} cannot be written: {error}.", hint="Choose a folder that this user may write.", path=str(path)
        ) from error


def block(name: str, help_: str, samples: Iterable[Sample]) -> str:
    """One metric with its samples; nothing where there are none."""
    lines = [f"{name}{_labels(labels)} {_number(value)}\n" for labels, value in samples]
    return f"# HELP {name} {help_}\n# TYPE {name} gauge\n{''.join(lines)}" if lines else ""


def _labels(labels: dict[str, str]) -> str:
    escaped = [f'{key}="{_escape(value)}"' for key, value in labels.items()]
    return "{" + ",".join(escaped) + "}" if escaped else ""


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if math.isinf(value):
        return "+Inf"
    return str(int(value)) if value == int(value) else repr(value)
