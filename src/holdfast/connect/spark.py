"""The page of a standalone Spark master: what runs, as JSON (``/json/``), and the forms by which its people end an application."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from holdfast.connect.web import WebFailed, request
from holdfast.errors import Unreachable
from holdfast.model import Clock

LARGEST = 16 << 20
ONE_S = 30.0


class SparkFailed(Unreachable):
    """A Spark master did not do what it was asked."""

    code = "spark-failed"

    def __init__(self, message: str, *, late: bool = False) -> None:
        super().__init__(message, hint="See the address of the master's page (by default port 8080), and its log.")
        self.late = late


@dataclass(frozen=True, slots=True)
class Running:
    """``driver``: whether it is a driver of the cluster (submitted with --deploy-mode cluster), which has no name but its class."""

    id: str
    name: str
    state: str
    driver: bool


class SparkMaster:
    """One master, until ``timeout`` seconds are over."""

    def __init__(self, url: str, *, clock: Clock, timeout: float, ca: Path | None = None) -> None:
        self.url = url.rstrip("/")
        self.clock = clock
        self._deadline = clock.monotonic() + timeout
        self._ca = ca

    def left(self) -> float:
        """Seconds."""
        return self._deadline - self.clock.monotonic()

    def running(self) -> list[Running]:
        """Applications and drivers that have not ended. Raises SparkFailed."""
        status, body = self._once("GET", "/json/", None)
        try:
            found = json.loads(body)
            apps = [Running(one["id"], one["name"], one["state"], False) for one in found["activeapps"]]
            drivers = [Running(one["id"], one.get("mainclass") or "", one["state"], True) for one in found["activedrivers"]]
        except (ValueError, KeyError, TypeError):
            raise SparkFailed(f"There is no page of a Spark master at {self.url}: it answered {status}.") from None
        if found.get("status") not in ("ALIVE", None):
            raise SparkFailed(f"The master at {self.url} is {found['status']}: ask the one that is ALIVE.")
        return [*apps, *drivers]

    def end(self, one: Running) -> None:
        """As the page's «kill» does. Returns when the master took it; raises SparkFailed."""
        kind = "driver" if one.driver else "app"
        form = urlencode({"id": one.id, "terminate": "true"}).encode()
        status, _ = self._once("POST", f"/{kind}/kill/", form)
        if status not in (200, 302):
            raise SparkFailed(f"The master did not end {one.id}: {status}. Is spark.ui.killEnabled false?")

    def _once(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        if self.left() <= 0:
            raise SparkFailed("The time is over.", late=True)
        pieces: list[bytes] = []
        take: Callable[[bytes], Any] = pieces.append
        headers = {} if body is None else {"Content-Type": "application/x-www-form-urlencoded"}
        try:
            status = request(
                method,
                self.url + path,
                headers=headers,
                body=body,
                timeout=min(ONE_S, self.left()),
                take=take,
                now=self.clock.monotonic,
                ca=self._ca,
            )
        except WebFailed as error:
            raise SparkFailed(error.message, late=self.left() <= 0) from None
        return status, b"".join(pieces)[:LARGEST]
