"""What a runbook brought back, as a drill looks at it: a view of the new place, by the point that its restore said it came from."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.assembly.drills.restorer import PlatformRestorer, StandingCopy
from holdfast.drills.errors import NothingReturned
from holdfast.systems.contract import RestoreRequest

if TYPE_CHECKING:
    from holdfast.assembly.platform import Platform
    from holdfast.systems.contract import Isolated


@dataclass(frozen=True, slots=True)
class Back:
    """What a restore's end in the journal says."""

    system: str
    into: Path
    point: str
    reached: Mapping[str, Any]
    until: Mapping[str, Any]


class ReturnedCopy(StandingCopy):
    """A copy that a runbook made: its server may listen on this machine's own addresses."""

    def isolation(self) -> list[Mapping[str, Any]]:
        return [_own_machine(one) for one in super().isolation()]


def _own_machine(said: Mapping[str, Any]) -> Mapping[str, Any]:
    own = said["expected"] == "" and str(said["actual"]) in ("localhost", "127.0.0.1", "::1")
    return {**said, "expected": said["actual"]} if own else said


@contextlib.contextmanager
def returned(platform: "Platform", restorer: PlatformRestorer, back: Back) -> Iterator[ReturnedCopy]:
    """Raises NothingReturned where nothing answers there."""
    with contextlib.ExitStack() as stack:
        if restorer.kind == "postgres":
            view = _server(platform, restorer.system, back)
        else:
            view = stack.enter_context(_folder(platform, restorer, back))
        yield ReturnedCopy(platform, restorer.system, view, restorer.hands, back.until)


def _server(platform: "Platform", system: str, back: Back) -> "Isolated":
    from holdfast.systems.postgres.running.instance import running_pid
    from holdfast.systems.postgres.view import PostgresView

    if running_pid(back.into) is None:
        raise NothingReturned(
            f"The runbook restored {system} into {back.into.name}, and no server runs on it at its end.",
            hint="Let it start the server (holdfast restore … --start).",
            system=system,
        )
    lines = (back.into / "postmaster.pid").read_text(encoding="utf-8").splitlines()
    port, folder = lines[3].strip(), lines[4].strip()
    role = platform.postgres_recovery(system).superuser or "postgres"
    host = (folder or lines[5].strip()).replace("\\", "\\\\").replace("'", "\\'")
    dsn = f"host='{host}' port={port} user='{role}' dbname='postgres'"
    return PostgresView(dsn, {**back.reached, "point": back.point, "place": dict(back.reached)})


@contextlib.contextmanager
def _folder(platform: "Platform", restorer: PlatformRestorer, back: Back) -> "Iterator[Isolated]":
    """Of kinds whose restored folder is content."""
    system, history = restorer.system, platform.history(restorer.system)
    if not back.into.is_dir():
        raise NothingReturned(f"The runbook restored {system} into {back.into}, which is not there.", system=system)
    recovery = platform.recovery(system)
    until = {"kind": "point", "point": back.point}
    # Planned into a place that is not there: what is looked for is which content the point has, not whether there is room.
    plan = recovery.plan_restore(history, RestoreRequest(Path("/nonexistent/holdfast"), until))
    reached = {**plan.place, "place": dict(plan.place)}
    if restorer.kind == "files":
        from holdfast.systems.files.view import RestoredView

        yield RestoredView(back.into, history.open(plan.point.id), plan.point, reached)
    elif restorer.kind == "delta":
        from holdfast.systems.delta.data.view import restored_view
        from holdfast.systems.shared import boxes

        helds = [one.held for one in plan.detail.tables if one.held is not None]
        sandbox = platform.plan.document.sandbox
        folder = platform.plan.resolve(sandbox.directory) if sandbox is not None else None
        with boxes.open_box(folder, "delta") as box, restored_view(back.into, helds, reached, box) as view:
            yield view
    else:
        with recovery.isolate(history, until, {"against": back.into.as_uri()}, _silent()) as view:
            yield view


def _silent() -> Any:
    from holdfast.model import Silent

    return Silent()
