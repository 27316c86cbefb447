"""A real MinIO: S3 with versions, conditional put and object lock, on loopback."""

import atexit
import contextlib
import os
import secrets
import shutil
import signal
import ssl
import subprocess
import time
import urllib.error
import urllib.request
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.servers.account import reachable, server_folder, service_account
from tests.servers.need import ServerMissing
from tests.servers.ports import free_port
from tests.servers.versions import services_folder

REGION = "us-east-1"

_live: "weakref.WeakSet[MinioServer]" = weakref.WeakSet()


def minio_program() -> Path:
    """The program; raises ServerMissing."""
    override = os.environ.get("HOLDFAST_MINIO")
    for place in (Path(override) if override else None, services_folder() / "bin" / "minio"):
        if place and place.exists():
            return reachable(place.parent, (place.name,), place.name) / place.name
    found = shutil.which("minio")
    if found:
        return Path(found)
    raise ServerMissing("MinIO is not on this machine; `make services` builds it")


class MinioServer:
    """``endpoint`` (http://127.0.0.1:port), ``access_key``, ``secret_key``, ``region``; use as a context manager, or call ``remove()``."""

    def __init__(self, certificate: Callable[[Path], None] | None = None) -> None:
        self.program = minio_program()
        self.folder = server_folder("minio", keep=True)
        self.certificates = self.folder / "certificates" if certificate is not None else None
        if certificate is not None and self.certificates is not None:
            self.certificates.mkdir()
            certificate(self.certificates)
        self.port = free_port()
        self.access_key = "holdfast-test"
        self.secret_key = secrets.token_hex(16)
        self.region = REGION
        self.process: subprocess.Popen[bytes] | None = None
        _live.add(self)

    @classmethod
    def create(cls, certificate: Callable[[Path], None] | None = None) -> Self:
        """``certificate`` writes ``public.crt`` and ``private.key`` into a folder: then it answers over TLS alone."""
        server = cls(certificate)
        server.start()
        return server

    @property
    def endpoint(self) -> str:
        return f"http{'s' if self.certificates else ''}://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What an S3 client reads its credentials from."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint,
        }

    def start(self, timeout: float = 120) -> None:
        account = service_account()
        data = self.folder / "data"
        data.mkdir(exist_ok=True)
        account.own(data)
        if self.certificates:
            account.own(self.certificates)
        environment = {
            **account.environment(self.folder),
            "MINIO_ROOT_USER": self.access_key,
            "MINIO_ROOT_PASSWORD": self.secret_key,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "MINIO_CALLHOME_ENABLE": "off",
        }
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    self.program,
                    "server",
                    "--quiet",
                    *(("--certs-dir", self.certificates) if self.certificates else ()),
                    "--address",
                    f"127.0.0.1:{self.port}",
                    data,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=environment,
                start_new_session=True,
                **account.popen,
            )
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"MinIO ended with status {self.process.returncode} at start:\n{self.log_text()}")
            try:
                # Whether its certificate is right is what tests ask, with a client of their own.
                unverified = ssl._create_unverified_context()
                with urllib.request.urlopen(f"{self.endpoint}/minio/health/ready", timeout=2, context=unverified) as answer:
                    if answer.status == 200:
                        return
            except urllib.error.HTTPError as error:
                error.close()
            except OSError:
                pass
            time.sleep(0.05)
        raise TimeoutError(f"MinIO not ready after {timeout} s:\n{self.log_text()}")

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self, timeout: float = 60) -> None:
        if self.running:
            assert self.process is not None
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill9()

    def kill9(self) -> None:
        if self.running:
            assert self.process is not None
            self.process.kill()
            self.process.wait(30)

    def remove(self) -> None:
        self.kill9()
        _live.discard(self)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def client(self) -> Any:
        """A boto3 client with the server's own credentials."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 3}),
        )

    def bucket(self, name: str = "", *, lock: bool = False, versions: bool = False) -> str:
        """A new bucket (a random name unless given), with object lock or versions; returns its name."""
        name = name or f"vault-{secrets.token_hex(5)}"
        client = self.client()
        client.create_bucket(Bucket=name, ObjectLockEnabledForBucket=lock)
        if versions and not lock:
            client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
        client.close()
        return name

    def make(self, name: str, ca: str) -> None:
        """A new bucket, asked for over TLS."""
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            verify=ca,
        )
        with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=name)
        client.close()

    def log_text(self) -> str:
        with contextlib.suppress(OSError):
            return (self.folder / "log").read_text(errors="replace")[-4000:]
        return ""


@atexit.register
def _remove_all() -> None:
    for server in list(_live):
        with contextlib.suppress(Exception):
            server.remove()
