"""A restored cluster takes its source's place: the source's own configuration files come back from ``holdfast.handover/``.

Until then nothing of the restored cluster reaches production; from then on it archives, listens and replicates as its source did.
"""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from holdfast.errors import Refused
from holdfast.systems.postgres.restore.config import FILES, HANDOVER
from holdfast.systems.postgres.restore.errors import DirectoryRunning
from holdfast.systems.postgres.restore.fetch import unneeded
from holdfast.systems.postgres.restore.files import MARKER, make_folder, write_file
from holdfast.systems.postgres.running.binaries import Account
from holdfast.systems.postgres.running.instance import running_pid

ISOLATED = f"{HANDOVER}/isolated"
"""Where the files lie that kept the restored cluster apart, once it was handed over."""

# What the source was told as a standby, or of paths on its own host, was true for the source. A target left in would stop the next standby.
_RECOVERY = re.compile(r"\s*(recovery_|restore_command|archive_cleanup_command|primary_|standby_mode|promote_trigger)")
_PATHS = re.compile(r"\s*(data_directory|hba_file|ident_file|external_pid_file|include)")
_REACHES = re.compile(
    r"\s*(archive_mode|archive_command|archive_library|synchronous_standby_names|listen_addresses|port|ssl_\w+_file|unix_socket_directories"
    r"|log_directory|stats_temp_directory|shared_preload_libraries)\b"
)


class NotHandedOver(Refused):
    """The directory cannot take its source's place: it was not restored by Holdfast, or its recovery has not ended."""

    code = "handover-refused"


@dataclass(frozen=True, slots=True)
class HandOver:
    """``files`` that come back; ``left_out``: the source's lines that do not; ``reaches``: lines that lead outside, to be looked at."""

    data: Path
    files: tuple[str, ...]
    left_out: tuple[str, ...]
    reaches: tuple[str, ...]
    texts: tuple[tuple[str, str], ...]


def plan(data: Path) -> HandOver:
    """Look, and write nothing. Raises NotHandedOver, DirectoryRunning."""
    kept = data / HANDOVER
    if not (data / "PG_VERSION").is_file() or not kept.is_dir():
        raise NotHandedOver(
            f"{data} is no directory that Holdfast restored: there is no {HANDOVER} in it.",
            hint="Name the directory given to restore --into.",
        )
    if (data / MARKER).exists():
        raise NotHandedOver(f"The restore into {data} was not finished.", hint="Finish it: holdfast restore … --delta")
    pid = running_pid(data)
    if pid is not None:
        raise DirectoryRunning(
            f"A server runs on {data} (process {pid}).", hint=f"Stop it first: pg_ctl stop -D {data}; settings count from its next start."
        )
    for signal, what in (("recovery.signal", "its recovery has not ended"), ("standby.signal", "it is a standby")):
        if (data / signal).exists():
            raise NotHandedOver(
                f"{data} cannot take its source's place yet: {what}.",
                hint="Start it and let it recover (restore --start does), promote it (select pg_promote()), stop it; then again.",
            )
    texts, left_out, reaches = [], [], []
    for name in FILES:
        if not (kept / name).is_file():
            continue
        text = (kept / name).read_text(errors="surrogateescape")
        if name.startswith("postgresql"):
            text, out, outside = _fit(text)
            left_out += [f"{name}: {line}" for line in out]
            reaches += [f"{name}: {line}" for line in outside]
        texts.append((name, text))
    if not texts:
        raise NotHandedOver(
            f"{kept} holds none of the source's configuration files.", hint="Configure the cluster by hand: postgresql.conf, pg_hba.conf."
        )
    return HandOver(data, tuple(name for name, _ in texts), tuple(left_out), tuple(reaches), tuple(texts))


def run(made: HandOver) -> None:
    """Put the files back, durably; what they replace goes to ``holdfast.handover/isolated``, from where it can be copied back."""
    status = made.data.stat()
    who = Account("", status.st_uid, status.st_gid, switch=os.geteuid() == 0)
    aside = made.data / ISOLATED
    make_folder(aside, who)
    for name, _ in made.texts:
        # The first one counts: after a kill in the middle the second run finds files of the source already.
        if (made.data / name).is_file() and not (aside / name).exists():
            write_file(aside / name, (made.data / name).read_bytes(), who)
    for name, text in made.texts:
        write_file(made.data / name, text.encode(errors="surrogateescape"), who)
    if "postgresql.auto.conf" not in made.files:
        write_file(made.data / "postgresql.auto.conf", "", who)
    unneeded(made.data)


def _fit(text: str) -> tuple[str, Sequence[str], Sequence[str]]:
    """(the text without what was true for the source alone, the lines left out, the lines that lead outside)."""
    lines, left_out, reaches = [], [], []
    for line in text.splitlines():
        if _RECOVERY.match(line) or _PATHS.match(line):
            left_out.append(line.strip())
            lines.append(f"# left out at the handover: {line.strip()}")
            continue
        if _REACHES.match(line):
            reaches.append(line.split("#", 1)[0].strip() if "'" not in line else line.strip())
        lines.append(line)
    return "\n".join(lines) + "\n", left_out, reaches
