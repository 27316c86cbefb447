"""A drill in a process of its own that kills itself when a phase has begun: python killed.py FOLDER SCENARIO SYSTEMS TARGET PHASE."""

import os
import signal
import sys
from pathlib import Path

from holdfast.assembly import Platform
from holdfast.assembly.drills import PlatformStage
from holdfast.drills.engine.course import Asked
from holdfast.drills.engine.drill import Desk, drill
from holdfast.drills.engine.parts import Unattended
from holdfast.drills.scenario.read import compile_text
from holdfast.interfaces.cli.commands.drill.responder import responder
from holdfast.model import Silent, SystemClock
from holdfast.plan import load
from tests.drills.kit import Reporter


def main(folder: str, scenario: str, systems: str, target: str, phase: str) -> None:
    os.environ["DRILL_PROCESS"] = str(os.getpid())  # for a step that ends it

    def at(name, state):
        if f"{name}:{state}" == phase:
            os.kill(os.getpid(), signal.SIGKILL)

    with Platform(load(Path(folder) / "holdfast.yaml"), clock=SystemClock()) as platform:
        desk = Desk(platform.state, platform.journal, platform.clock)
        asked = Asked(compile_text(Path(scenario).read_text(), scenario), tuple(systems.split(",")), "carla", ("stale",), target or None)
        drill(desk, asked, PlatformStage(platform), Unattended("carla"), Reporter(at), responder(platform.plan, (), os.environ), Silent())
    raise SystemExit("it was to be killed")


if __name__ == "__main__":
    main(*sys.argv[1:])
