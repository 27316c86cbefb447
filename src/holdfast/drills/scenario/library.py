"""Where scenarios lie: the plan's folder of drills, and those that are shipped. One in the folder takes the place of a shipped one."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from holdfast.drills.errors import ScenarioInvalid, ScenarioUnknown
from holdfast.drills.scenario.read import Snapshot, examine
from holdfast.plan.errors import Problem, did_you_mean

FOLDER = "drills"


@dataclass(frozen=True)
class Found:
    """One scenario: its snapshot, or None where it has errors."""

    file: str
    snapshot: Snapshot | None
    problems: tuple[Problem, ...]
    shipped: bool = False

    @property
    def name(self) -> str:
        return self.snapshot.name if self.snapshot else Path(self.file).stem


@dataclass(frozen=True)
class Library:
    """``folder`` need not exist."""

    folder: Path | None

    def all(self) -> list[Found]:
        """Those of the folder, then the shipped ones whose name is not taken."""
        paths = sorted({*self.folder.rglob("*.yaml"), *self.folder.rglob("*.yml")}) if self.folder and self.folder.is_dir() else []
        own = [self.read(path) for path in paths]
        taken = {one.name for one in own}
        return [*own, *(one for one in shipped() if one.name not in taken)]

    def read(self, path: Path) -> Found:
        """Raises ScenarioUnknown when the file cannot be read."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no UTF-8 text"
            raise ScenarioUnknown(f"The scenario {path} cannot be read: {why}.", hint="See: holdfast drill list") from error
        snapshot, problems = examine(text, str(path))
        return Found(str(path), snapshot, tuple(problems))

    def find(self, name: str) -> Found:
        """By its name, or by the path of its file. Raises ScenarioUnknown."""
        if name.endswith((".yaml", ".yml")) or "/" in name:
            return self.read(Path(name))
        every = self.all()
        matching = [one for one in every if one.name == name]
        if len(matching) > 1:
            where = " and ".join(one.file for one in matching)
            raise ScenarioUnknown(f"Several scenarios are called '{name}': {where}.", hint="Give the path of one.")
        if matching:
            return matching[0]
        hint = did_you_mean(name, [one.name for one in every])
        raise ScenarioUnknown(f"There is no scenario '{name}'.", hint=hint[:1].upper() + hint[1:], scenario=name)

    def snapshot(self, name: str) -> Snapshot:
        """Raises ScenarioUnknown, ScenarioInvalid."""
        found = self.find(name)
        if found.snapshot is None:
            raise ScenarioInvalid(found.problems)
        return found.snapshot


def shipped() -> Iterator[Found]:
    """What comes with the program."""
    for entry in sorted(files("holdfast.drills.scenario").joinpath("shipped").iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".yaml"):
            snapshot, problems = examine(entry.read_text(encoding="utf-8"), f"shipped/{entry.name}")
            yield Found(f"shipped/{entry.name}", snapshot, tuple(problems), shipped=True)
