"""What lies in a vault besides its data: the plan, the runbooks and the journals of the hosts, as evidence that checks itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from holdfast.journal.chain import check
from holdfast.model import counted

if TYPE_CHECKING:
    from holdfast.vault import Vault


@dataclass(frozen=True)
class StoredRecords:
    """``journals``: lines by host's tag; ``problems``: what is wrong with a host's chain; ``wrong``: objects that are not believed."""

    plan: str | None
    runbooks: Mapping[str, str]
    journals: Mapping[str, Sequence[bytes]]
    problems: Mapping[str, str] = field(default_factory=dict)
    wrong: Sequence[str] = ()

    @property
    def broken(self) -> bool:
        return bool(self.problems)

    @property
    def sentence(self) -> str:
        """For people."""
        entries = sum(len(lines) for lines in self.journals.values())
        chains = "; ".join(f"{tag}: {text}" for tag, text in self.problems.items()) or "whole"
        journal = (
            f"{counted(entries, 'journal entry', 'journal entries')} of {counted(len(self.journals), 'host')} ({chains})"
            if self.journals
            else "no journal"
        )
        return f"Beside the data: {'a plan' if self.plan else 'no plan'}, {counted(len(self.runbooks), 'runbook')}, {journal}."

    def to_json(self) -> dict[str, Any]:
        return {
            "plan": self.plan is not None,
            "runbooks": sorted(self.runbooks),
            "journal": [
                {"host": tag, "entries": len(lines), "whole": tag not in self.problems, "problem": self.problems.get(tag)}
                for tag, lines in self.journals.items()
            ],
        }

    def write(self, folder: Path) -> None:
        """Into a new folder: ``plan.yaml``, ``runbooks/…``, ``journal/<host>.jsonl``."""
        folder.mkdir(parents=True, mode=0o700)
        if self.plan is not None:
            (folder / "plan.yaml").write_text(self.plan, encoding="utf-8")
        for path, text in self.runbooks.items():
            parts = PurePosixPath(path).parts
            if path.startswith("/") or ".." in parts:
                continue  # a name that would leave the folder was never written by us
            file = folder.joinpath("runbooks", *parts)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        for tag, lines in self.journals.items():
            file = folder / "journal" / f"{tag}.jsonl"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(b"".join(lines))


def stored_records(vault: "Vault") -> StoredRecords:
    """Of the vault's first location."""
    from holdfast.vault.records import journals, newest_plan, newest_runbooks

    storage, notary = vault.locations.first, vault.notary
    plan, plan_wrong = newest_plan(storage, notary)
    runbooks, runbooks_wrong = newest_runbooks(storage, notary)
    lines, lines_wrong = journals(storage, notary)
    problems = {tag: found[0].text for tag, some in lines.items() if (found := check(tag, some)[1])}
    return StoredRecords(plan, runbooks, lines, problems, [*plan_wrong, *runbooks_wrong, *lines_wrong])
