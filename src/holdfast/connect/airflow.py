"""Airflow's REST API: v2 of Airflow 3, v1 of Airflow 2 (paths and fields as its published OpenAPI documents have them).

Airflow 3 is asked with a JWT, which ``POST /auth/token`` gives for user and password; Airflow 2 takes both as they are (basic).
"""

import base64
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from holdfast.connect.web import WebFailed, request
from holdfast.errors import Unreachable
from holdfast.model import Clock

PAGE = 100
LARGEST = 64 << 20
TRIES = 3
ONE_S = 60.0
"""The longest that one request may take, in seconds."""

LIVE = ("running", "queued", "restarting", "deferred")
"""States of a task that may still write: a deferred one waits for work that goes on elsewhere."""


class AirflowFailed(Unreachable):
    """Airflow did not do what it was asked."""

    code = "airflow-failed"

    def __init__(self, message: str, status: int | None = None, *, late: bool = False) -> None:
        super().__init__(message, hint="See the address, the credentials and Airflow's own log.", answered=status)
        self.answered = status
        self.late = late


@dataclass(frozen=True, slots=True)
class Login:
    """A token, or user and password."""

    token: str = ""
    user: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True)
class Dag:
    id: str
    paused: bool
    tags: tuple[str, ...]


class Airflow:
    """One deployment, until ``timeout`` seconds are over. ``hide`` is told every secret that Airflow hands out."""

    def __init__(
        self, url: str, login: Login, *, clock: Clock, timeout: float, ca: Path | None = None, hide: Callable[[str], None] = lambda _: None
    ) -> None:
        self.url = url.rstrip("/")
        self.clock = clock
        self.deadline = clock.monotonic() + timeout
        self._login = login
        self._ca = ca
        self._hide = hide
        self._version = 0
        self._jwt = login.token

    # ------------------------------------------------------------ what can be asked

    @property
    def version(self) -> int:
        """Of the API: 2 or 1. Raises AirflowFailed."""
        if not self._version:
            status, found = self._once("GET", "/api/v2/version", {}, None)
            if status == 200 and isinstance(found, dict) and "version" in found:
                self._version = 2
            else:
                status, found = self._once("GET", "/api/v1/version", self._headers(1), None)
                if not (status in (401, 403) or (status == 200 and isinstance(found, dict) and "version" in found)):
                    raise AirflowFailed(f"Neither /api/v2 nor /api/v1 of an Airflow answers at {self.url}: the last answer was {status}.")
                self._version = 1
        return self._version

    def dags(self) -> list[Dag]:
        """Every DAG that is not stale, by id."""
        query = {"order_by": "dag_id", **({"only_active": "true"} if self.version == 1 else {})}
        return [
            Dag(str(one["dag_id"]), bool(one["is_paused"]), tuple(str(tag["name"]) for tag in one.get("tags") or ()))
            for one in self._pages("dags", "dags", query)
        ]

    def dag(self, dag: str) -> Dag | None:
        """None where there is none of that id."""
        try:
            one = self.ask("GET", f"dags/{quote(dag, safe='')}")
        except AirflowFailed as error:
            if error.answered == 404:
                return None
            raise
        return Dag(dag, bool(one["is_paused"]), tuple(str(tag["name"]) for tag in one.get("tags") or ()))

    def pause(self, dag: str, paused: bool) -> None:
        """Raises AirflowFailed unless Airflow says that it is so now."""
        found = self.ask("PATCH", f"dags/{quote(dag, safe='')}?update_mask=is_paused", {"is_paused": paused})
        if found.get("is_paused") is not paused:
            raise AirflowFailed(f"Airflow answered, but {dag} is {'paused' if not paused else 'not paused'}.")

    def tasks(self, states: Sequence[str] = LIVE, dags: Collection[str] | None = None) -> list[dict[str, Any]]:
        """Task instances in one of the states: of these DAGs, of all without them."""
        keys = ("dag_id", "dag_run_id", "task_id", "map_index", "state", "start_date")
        found = self._live(lambda dag: (f"dags/{dag}/dagRuns/~/taskInstances", "task_instances"), states, dags)
        return [{key: one.get(key) for key in keys} for one in found]

    def runs(self, dags: Collection[str] | None = None, states: Sequence[str] = ("running", "queued")) -> list[dict[str, Any]]:
        """Runs in one of the states (of these DAGs): ``dag_id``, ``dag_run_id``, ``state``, ``run_type``, ``start_date``."""
        keys = ("dag_id", "dag_run_id", "state", "run_type", "start_date")
        found = self._live(lambda dag: (f"dags/{dag}/dagRuns", "dag_runs"), states, dags)
        return [{key: one.get(key) for key in keys} for one in found]

    def run(self, dag: str, run: str) -> dict[str, Any] | None:
        """None where there is none of that id."""
        try:
            found: dict[str, Any] = self.ask("GET", f"dags/{quote(dag, safe='')}/dagRuns/{quote(run, safe='')}")
        except AirflowFailed as error:
            if error.answered == 404:
                return None
            raise
        return found

    def trigger(self, dag: str, run: str, conf: Mapping[str, Any]) -> None:
        """A run of that id; one that is there already is kept: a request whose answer was lost is not done twice."""
        body: dict[str, Any] = {"dag_run_id": run, "conf": dict(conf)}
        if self.version == 2:
            body["logical_date"] = None
        try:
            self.ask("POST", f"dags/{quote(dag, safe='')}/dagRuns", body)
        except AirflowFailed as error:
            if error.answered == 409 and self.run(dag, run) is not None:
                return
            raise

    def mark(self, dag: str, run: str, state: str, task: str | None = None) -> None:
        """A run's state, or that of one task in it."""
        where = f"dags/{quote(dag, safe='')}/dagRuns/{quote(run, safe='')}"
        if task is None:
            self.ask("PATCH", where, {"state": state})
            return
        body = {"new_state": state, **({"dry_run": False} if self.version == 1 else {})}
        try:
            self.ask("PATCH", f"{where}/taskInstances/{quote(task, safe='')}", body)
        except AirflowFailed as error:
            if error.answered != 409 or self.task_state(dag, run, task) != state:  # it is so already
                raise

    def task_state(self, dag: str, run: str, task: str) -> str | None:
        found = self.ask("GET", f"dags/{quote(dag, safe='')}/dagRuns/{quote(run, safe='')}/taskInstances/{quote(task, safe='')}")
        state = found.get("state")
        return None if state is None else str(state)

    # ------------------------------------------------------------ how it is asked

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON of a 2xx answer. What changes nothing, or the same thing twice, is asked again where the server was away for a moment.

        Raises AirflowFailed with Airflow's own words.
        """
        version = self.version
        for attempt in range(1, TRIES + 1):
            try:
                status, found = self._once(method, f"/api/v{version}/{path}", self._headers(version), body)
            except AirflowFailed as error:
                if method == "POST" or attempt == TRIES or error.late:
                    raise
            else:
                if status == 401 and attempt == 1 and self._login.user and version == 2:
                    self._jwt = ""  # it ran out while something was waited for
                    continue
                if status < 300:
                    return found
                if method == "POST" or status < 500 or attempt == TRIES:
                    raise AirflowFailed(f"{method} {path.partition('?')[0]} was answered with {status}{_said(found)}", status)
            self.clock.sleep(min(float(attempt), max(0.0, self.deadline - self.clock.monotonic())))
        raise AssertionError

    def left(self) -> float:
        """Seconds until the time is over."""
        return self.deadline - self.clock.monotonic()

    def _live(self, where: Callable[[str], tuple[str, str]], states: Sequence[str], dags: Collection[str] | None) -> list[dict[str, Any]]:
        """One listing of all DAGs. Where it took several pages, each DAG that it does not name is asked by itself: what ended between two
        pages moves the rest up, and a row slips through unseen; an answer in one piece that is empty is one.
        """
        pages: list[str] = []
        query = {"state": list(states)}

        def read(dag: str) -> list[dict[str, Any]]:
            # An API that does not know a filter leaves it out: what is not wanted is dropped here as well.
            path, key = where(quote(dag, safe="~"))
            return [one for one in self._pages(path, key, query, pages) if one.get("state") in states]

        everything = read("~")
        found = [one for one in everything if dags is None or one.get("dag_id") in dags]
        if len(pages) > 1 and dags is not None:
            for dag in sorted(set(dags) - {str(one.get("dag_id")) for one in found}):
                found += read(dag)
        return found

    def _pages(self, path: str, key: str, query: Mapping[str, Any], pages: list[str] | None = None) -> Iterator[dict[str, Any]]:
        """``pages``: is told of each that was read."""
        offset = 0
        while True:
            found = self.ask("GET", f"{path}?{urlencode({**query, 'limit': PAGE, 'offset': offset}, doseq=True)}")
            rows = found.get(key) if isinstance(found, dict) else None
            if not isinstance(rows, list):
                raise AirflowFailed(f"The answer to {path} has no {key}: is there an Airflow at {self.url}?")
            if pages is not None:
                pages.append(path)
            yield from rows
            offset += len(rows)
            total = found.get("total_entries")
            # Who does not say how many there are is asked until there are no more.
            if not rows or (isinstance(total, int) and offset >= total):
                return

    def _headers(self, version: int) -> dict[str, str]:
        if self._jwt:
            return {"Authorization": f"Bearer {self._jwt}"}
        if not self._login.user:
            return {}
        if version == 1:
            basic = base64.b64encode(f"{self._login.user}:{self._login.password}".encode()).decode()
            self._hide(basic)
            return {"Authorization": f"Basic {basic}"}
        status, found = self._once("POST", "/auth/token", {}, {"username": self._login.user, "password": self._login.password})
        token = found.get("access_token") if isinstance(found, dict) else None
        if status not in (200, 201) or not isinstance(token, str):
            raise AirflowFailed(f"Airflow gave {self._login.user} no token: {status}.", status)
        self._jwt = token
        self._hide(token)
        return {"Authorization": f"Bearer {token}"}

    def _once(self, method: str, path: str, headers: Mapping[str, str], body: Any) -> tuple[int, Any]:
        if self.left() <= 0:
            raise AirflowFailed("The time is over.", late=True)
        pieces: list[bytes] = []
        size = 0

        def take(piece: bytes) -> None:
            nonlocal size
            size += len(piece)
            if size > LARGEST:
                raise AirflowFailed(f"The answer of {self.url} is larger than {LARGEST >> 20} MiB.")
            pieces.append(piece)

        data = None if body is None else json.dumps(body).encode()
        sent = {"Accept": "application/json", **headers, **({} if data is None else {"Content-Type": "application/json"})}
        try:
            status = request(
                method,
                self.url + path,
                headers=sent,
                body=data,
                timeout=min(ONE_S, self.left()),
                take=take,
                now=self.clock.monotonic,
                ca=self._ca,
            )
        except WebFailed as error:
            raise AirflowFailed(error.message, late=self.left() <= 0) from None
        try:
            return status, json.loads(b"".join(pieces) or b"null")
        except ValueError:
            return status, None


def _said(found: Any) -> str:
    if isinstance(found, dict):
        detail = found.get("detail") or found.get("title")
        if isinstance(detail, dict):
            detail = detail.get("message") or detail.get("reason")
        if detail:
            return f": {str(detail)[:500]}"
    return "."
