"""A real Airflow 3: its metastore on PostgreSQL, REST API, scheduler and executor in processes of their own. On loopback alone."""

import atexit
import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import textwrap
import time
import urllib.request
import weakref
from pathlib import Path
from typing import Any, Self

from tests.servers.account import server_folder
from tests.servers.need import ServerMissing
from tests.servers.postgres import PostgresServer
from tests.servers.versions import services_folder

AIRFLOW = "3.3.2"
USER = "admin"
PATIENCE = 600
"""Seconds: its processes import for a long while on a loaded machine."""

_live: "weakref.WeakSet[AirflowServer]" = weakref.WeakSet()


def airflow_folder() -> Path:
    """Where ``make services`` puts Airflow: a virtual environment."""
    return services_folder() / f"airflow-{AIRFLOW}"


def airflow_installed() -> Path:
    """Its interpreter; raises ServerMissing."""
    if not (airflow_folder() / "whole").exists():
        raise ServerMissing("Airflow is not on this machine; `make services` gets it")
    return airflow_folder() / "bin" / "python"


class AirflowServer:
    """``url``: where the API answers; ``user`` and ``password`` may do everything. DAGs are files in ``dags``, read by ``read_dags``.

    The scheduler starts when it is asked for (``schedule``): pausing and listing need none.
    """

    user = USER

    def __init__(self, metastore: PostgresServer) -> None:
        self.python = airflow_installed()
        self.metastore = metastore
        self.database = f"airflow_{secrets.token_hex(4)}"
        self.folder = server_folder("airflow", keep=True)
        self.dags = self.folder / "dags"
        self.dags.mkdir()
        self.password = secrets.token_hex(12)
        self.processes: list[subprocess.Popen[bytes]] = []
        _live.add(self)
        try:
            metastore.execute(f"create database {self.database}")
            passwords = self.folder / "passwords.json"
            passwords.write_text(json.dumps({USER: self.password}))
            passwords.chmod(0o600)
            # Bound before it is told, and handed over: nobody else can have taken it meanwhile.
            self._listener = socket.socket()
            self._listener.bind(("127.0.0.1", 0))
            self.port = self._listener.getsockname()[1]
            self.url = f"http://127.0.0.1:{self.port}"
            self._environment = self._settings(passwords)
            self.command("db", "migrate")
            self._listener.listen(128)
            self._listener.set_inheritable(True)
            app = "airflow.api_fastapi.main:app"
            words = [self.python, "-m", "uvicorn", app, "--fd", str(self._listener.fileno()), "--log-level", "warning"]
            self._launch(words, "api.log", pass_fds=(self._listener.fileno(),))
            self._until(self._answers, "its API answers")
        except BaseException:
            self.remove()
            raise

    def _settings(self, passwords: Path) -> dict[str, str]:
        secret = secrets.token_hex(32)
        return {
            "PATH": f"{self.python.parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.folder),
            "LC_ALL": "C.UTF-8",
            "TZ": "UTC",
            "PYTHONUNBUFFERED": "1",
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": (f"postgresql+psycopg2://postgres@127.0.0.1:{self.metastore.port}/{self.database}"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__SECRET_KEY": secret,
            "AIRFLOW__API_AUTH__JWT_SECRET": secret,
            "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
            "AIRFLOW__SCHEDULER__USE_JOB_SCHEDULE": "False",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        }

    def command(self, *words: str, timeout: float = PATIENCE) -> str:
        """One of Airflow's own commands, to its end."""
        done = subprocess.run(
            [self.python, "-m", "airflow", *words],
            env=self._environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        if done.returncode:
            raise RuntimeError(f"airflow {' '.join(words)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")
        return done.stdout

    def dag(self, name: str, body: str) -> None:
        """A file of DAGs; read by ``read_dags``."""
        (self.dags / f"{name}.py").write_text(textwrap.dedent(body))

    def read_dags(self) -> None:
        """Reads the files once and returns when all are known."""
        self.command("dags", "reserialize")

    def schedule(self) -> None:
        """Starts the scheduler with its executor, unless it runs; returns when it is well."""
        if not any(process.args[-1] == "scheduler" for process in self.processes):  # type: ignore[index]
            self._launch([self.python, "-m", "airflow", "scheduler"], "scheduler.log")
            self._until(lambda: self.ask("GET", "monitor/health")["scheduler"]["status"] == "healthy", "its scheduler beats")

    def token(self) -> str:
        """A JWT, as its /auth/token gives it."""
        body = json.dumps({"username": USER, "password": self.password}).encode()
        asked = urllib.request.Request(f"{self.url}/auth/token", data=body, headers={"Content-Type": "application/json"})
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return str(json.load(answer)["access_token"])

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """One request to /api/v2; raises urllib.error.HTTPError."""
        headers = {"Authorization": f"Bearer {self.token()}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(f"{self.url}/api/v2/{path}", data=data, headers=headers, method=method)
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return json.load(answer)

    def log_text(self) -> str:
        return "\n".join(f"== {path.name}\n{path.read_text(errors='replace')[-3000:]}" for path in sorted(self.folder.glob("*.log")))

    def remove(self) -> None:
        for process in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(60)
        _live.discard(self)
        if hasattr(self, "_listener"):
            self._listener.close()
        with contextlib.suppress(Exception):
            self.metastore.execute(f"drop database if exists {self.database} with (force)")
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def _launch(self, words: list[Any], log: str, **options: Any) -> None:
        with (self.folder / log).open("ab") as said:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                [str(word) for word in words],
                env=self._environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                start_new_session=True,
                **options,
            )
        self.processes.append(process)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, ValueError), urllib.request.urlopen(f"{self.url}/api/v2/version", timeout=10) as answer:
            return bool(json.load(answer)["version"])
        return False

    def _until(self, condition: Any, what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            if any(process.poll() is not None for process in self.processes):
                raise RuntimeError(f"Airflow ended before {what}:\n{self.log_text()}")
            if time.monotonic() > end:
                raise TimeoutError(f"Airflow: never {what}:\n{self.log_text()}")
            time.sleep(0.2)


@atexit.register
def _remove_all() -> None:
    for server in list(_live):
        server.remove()
