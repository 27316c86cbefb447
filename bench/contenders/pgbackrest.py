"""pgBackRest: zstd level 1, AES-256, two processes, local repository, small files bundled, WAL archived as it asks for."""

from pathlib import Path

from bench.measure import Run, run, stored
from tests.servers import PostgresServer, ServerMissing, service_account
from tests.servers.account import server_folder

PROGRAM = Path("/usr/bin/pgbackrest")
STANZA = "bench"


class PgBackRest:
    name = "pgbackrest"

    def __init__(self, server: PostgresServer, *, asynchronous: bool = False) -> None:
        if not PROGRAM.exists():
            raise ServerMissing("pgBackRest is not on this machine; `make services` gets it")
        self.server = server
        self.account = service_account()
        self.home = server_folder("pgbr")
        self.repository = self.home / "repo"
        self.config = self.home / "pgbackrest.conf"
        for name in ("log", "spool", "lock"):
            (self.home / name).mkdir()
        self.config.write_text(
            f"""[global]
repo1-path={self.repository}
repo1-cipher-type=aes-256-cbc
repo1-cipher-pass=benchmark-only
repo1-retention-full=100
repo1-bundle=y
compress-type=zst
compress-level=1
process-max=2
checksum-page=y
start-fast=y
log-path={self.home}/log
lock-path={self.home}/lock
spool-path={self.home}/spool
log-level-console=warn
log-level-file=off
archive-async={"y" if asynchronous else "n"}

[{STANZA}]
pg1-path={server.data}
pg1-port={server.port}
pg1-socket-path={server.folder}
pg1-user=postgres
"""
        )
        self.account.own(self.home)

    def command(self, *words: str) -> list[str]:
        return [str(PROGRAM), f"--config={self.config}", f"--stanza={STANZA}", *words]

    @property
    def archive_command(self) -> str:
        return " ".join(self.command("archive-push", '"%p"'))

    @property
    def restore_command(self) -> str:
        return " ".join(self.command("archive-get", "%f", '"%p"'))

    def archive(self, to: str) -> None:
        """Where the server archives to: "pgbackrest", "nowhere" (WAL is dropped), or "hold" (WAL waits)."""
        command = {"pgbackrest": self.archive_command, "nowhere": "true", "hold": "false"}[to]
        self.server.execute(f"alter system set archive_command = '{command}'")
        self.server.reload()
        self.server.wait_for(f"select current_setting('archive_command') = '{command}'")

    def _run(self, *words: str) -> Run:
        return run(self.command(*words), self.account, self.home)

    def fresh(self) -> None:
        if self.repository.exists():
            self._run("stop")
            self._run("stanza-delete", "--force")
            self._run("start")
        self.repository.mkdir(exist_ok=True)
        self.account.own(self.repository)
        self._run("stanza-create")
        self.archive("pgbackrest")

    def full(self) -> Run:
        return self._run("backup", "--type=full")

    def incremental(self) -> Run:
        return self._run("backup", "--type=incr")

    def restore(self, into: Path) -> Run:
        return self._run("restore", f"--pg1-path={into}")

    def delta(self, into: Path) -> Run:
        return self._run("restore", "--delta", f"--pg1-path={into}")

    def stored(self) -> int:
        return stored(self.repository)

    def wal_bytes(self) -> int:
        return stored(self.repository / "archive")
