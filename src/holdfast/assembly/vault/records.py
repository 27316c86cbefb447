"""What lies in a vault besides its data: the plan, the runbooks and the journals of the hosts, as evidence that checks itself."""

from collections.abc import Iterator, Mapping, Sequence
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
    from holdfast.vault.records.copies import journals, newest_plan, newest_runbooks

    storage, notary = vault.locations.first, vault.notary
    plan, plan_wrong = newest_plan(storage, notary)
    runbooks, runbooks_wrong = newest_runbooks(storage, notary)
    lines, lines_wrong = journals(storage, notary)
    problems = {tag: found[0].text for tag, some in lines.items() if (found := check(tag, some)[1])}
    for tag, text in _anchored(vault, lines):
        problems.setdefault(tag, text)
    return StoredRecords(plan, runbooks, lines, problems, [*plan_wrong, *runbooks_wrong, *lines_wrong])


def _anchored(vault: "Vault", lines: Mapping[str, Sequence[bytes]]) -> Iterator[tuple[str, str]]:
    """Where a journal is not the one that was anchored: a chain that was written anew is whole in itself."""
    from holdfast.journal import parse
    from holdfast.vault.records.proofs import Proofs

    for tag, n, found in Proofs(vault.locations.first, vault.notary, vault.now).anchors():
        anchored = found.get("anchor") if isinstance(found, dict) else None
        if not isinstance(anchored, dict):
            continue  # a check of the vault says that it is damaged
        held = lines.get(tag, ())
        if n >= len(held):
            yield tag, f"entry {n} was anchored at {anchored.get('at')}, and is not here"
            continue
        try:
            digest = parse(held[n]).hash
        except ValueError:
            continue  # told by the chain itself
        if digest != anchored.get("hash"):
            yield tag, f"entry {n} is not the one that was anchored at {anchored.get('at')}: the journal was written anew"
