"""Where runbooks lie: the plan's ``runbooks:`` folder (``runbooks`` beside the plan where it says nothing), or a file by its path."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from holdfast.plan.errors import Problem, did_you_mean
from holdfast.runbooks.actions.contract import Action
from holdfast.runbooks.actions.registry import ACTIONS
from holdfast.runbooks.errors import RunbookInvalid, RunbookUnknown
from holdfast.runbooks.format.compile import Snapshot, examine

FOLDER = "runbooks"


@dataclass(frozen=True)
class Found:
    """One file: its snapshot, or None where it has errors. ``name`` is what it is called by: its own, else its file's."""

    path: Path
    snapshot: Snapshot | None
    problems: tuple[Problem, ...]

    @property
    def name(self) -> str:
        return self.snapshot.name if self.snapshot else self.path.stem


@dataclass(frozen=True)
class Library:
    """``folder`` need not exist."""

    folder: Path
    actions: Mapping[str, Action] = field(default_factory=lambda: ACTIONS)

    def all(self) -> list[Found]:
        """Every Markdown file below the folder that begins with front matter, in the order of their paths; pages without are prose."""
        paths = sorted(self.folder.rglob("*.md")) if self.folder.is_dir() else []
        return [self.read(path) for path in paths if _begins(path)]

    def read(self, path: Path) -> Found:
        """Raises RunbookUnknown when the file cannot be read."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no UTF-8 text"
            raise RunbookUnknown(f"The runbook {path} cannot be read: {why}.", hint="See: holdfast runbook list") from error
        snapshot, problems = examine(text, str(path), self.actions)
        return Found(path, snapshot, tuple(problems))

    def find(self, name: str) -> Found:
        """By its name, or by the path of its file. Raises RunbookUnknown."""
        direct = Path(name)
        if direct.suffix == ".md" or "/" in name:
            return self.read(direct)
        found = self.all()
        matching = [each for each in found if each.name == name]
        if len(matching) > 1:
            files = " and ".join(str(each.path) for each in matching)
            raise RunbookUnknown(f"Several runbooks are called '{name}': {files}.", hint="Give the path of one.")
        if matching:
            return matching[0]
        hint = (
            did_you_mean(name, [each.name for each in found]) if found else f"there is none in {self.folder}: holdfast runbook new {name}"
        )
        raise RunbookUnknown(f"There is no runbook '{name}'.", hint=hint[:1].upper() + hint[1:], runbook=name)

    def snapshot(self, name: str) -> tuple[Found, Snapshot]:
        """Raises RunbookUnknown, RunbookInvalid."""
        found = self.find(name)
        if found.snapshot is None:
            raise RunbookInvalid(found.problems)
        return found, found.snapshot


def _begins(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(8).removeprefix(b"\xef\xbb\xbf").startswith((b"---\n", b"---\r\n", b"--- "))
    except OSError:
        return False
