"""What the stories of templates share: the folder of a plan, the program by which a runbook acts, the page, a ledger of what was done."""

import sys
from collections.abc import Callable
from pathlib import Path

from tests.runbook_templates.drive import Follower


class Ground:
    """``control`` is where the program and the story's threads meet; ``fault``: what ended one of those."""

    follower: Follower

    def __init__(self, folder: Path, runbook: str) -> None:
        self.folder, self.runbook = folder, runbook
        folder.mkdir()
        self.control = folder / "control"
        self.control.mkdir()
        self.fault: BaseException | None = None

    def program(self, name: str, text: str) -> None:
        place = self.folder / "runbooks" / name
        place.parent.mkdir()
        place.write_text(text.format(python=sys.executable, control=str(self.control)))
        place.chmod(0o755)

    def page(self, template: str, system: str) -> None:
        self.follower.holdfast("runbook", "new", self.runbook, "--template", template, "--system", system)
        page = self.folder / "runbooks" / f"{self.runbook}.md"
        # One account of this machine is several people here.
        page.write_text(page.read_text().replace("roles:\n", "accounts: shared\nroles:\n", 1))

    def did(self, what: str) -> None:
        """Outside of Holdfast: what stands there twice was done twice."""
        with (self.control / "ledger").open("a") as file:
            file.write(what + "\n")

    def guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - the test raises it
            self.fault = error
