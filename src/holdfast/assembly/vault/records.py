"""What lies in a vault besides its data: plan, runbooks, suites, and the journals of the hosts, as evidence that checks itself."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from holdfast.journal.chain import check
from holdfast.model import counted
from holdfast.plan.beside import ELSEWHERE

if TYPE_CHECKING:
    from holdfast.vault import Vault


@dataclass(frozen=True)
class StoredRecords:
    """``suites``: of expectations, by their places beside the plan. ``journals``: lines by host's tag;
    ``problems``: what is wrong with a host's chain; ``wrong``: objects that are not believed.
    """

    plan: str | None
    runbooks: Mapping[str, str]
    suites: Mapping[str, str]
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
        files = f"{counted(len(self.runbooks), 'runbook')}, {counted(len(self.suites), 'suite')}"
        return f"Beside the data: {'a plan' if self.plan else 'no plan'}, {files}, {journal}."

    def to_json(self) -> dict[str, Any]:
        return {
            "plan": self.plan is not None,
            "runbooks": sorted(self.runbooks),
            "suites": sorted(self.suites),
            "journal": [
                {"host": tag, "entries": len(lines), "whole": tag not in self.problems, "problem": self.problems.get(tag)}
                for tag, lines in self.journals.items()
            ],
        }

    def write(self, folder: Path) -> None:
        """Into a new folder: ``plan.yaml``, ``runbooks/…``, ``suites/…``, ``journal/<host>.jsonl``."""
        folder.mkdir(parents=True, mode=0o700)
        if self.plan is not None:
            (folder / "plan.yaml").write_text(self.plan, encoding="utf-8")
        for below, texts in (("runbooks", self.runbooks), ("suites", self.suites)):
            for file, text in _placed(folder / below, texts):
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(text.encode("utf-8", "surrogatepass"))
        for tag, lines in self.journals.items():
            file = folder / "journal" / f"{tag}.jsonl"
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(b"".join(lines))

    def suites_in_the_way(self, folder: Path) -> list[Path]:
        """What stands where a suite (or a folder for it) belongs beside a plan in ``folder``, and is not that."""
        found = []
        for file, text in _placed(folder, self._suites()):
            above = [one for one in file.parents if one != folder and one.is_relative_to(folder)]
            found += [one for one in above if os.path.lexists(one) and not one.is_dir()]
            if os.path.lexists(file) and _content(file) != text.encode("utf-8", "surrogatepass"):
                found.append(file)
        return found

    def write_suites(self, folder: Path) -> list[Path]:
        """Beside a plan in ``folder``, where its checks look for them; nothing is overwritten. Returns what was written."""
        written = []
        for file, text in _placed(folder, self._suites()):
            file.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError), file.open("xb") as opened:
                opened.write(text.encode("utf-8", "surrogatepass"))
                written.append(file)
        return written

    def strange(self) -> list[str]:
        """Sentences about suites that are not written beside a plan. Whoever may write into the vault names them, and the folder may be
        somebody's home: a file that a shell or a login reads there would be that writer's word.
        """
        left = sorted(self.suites.keys() - self._suites().keys())
        return [f"The vault's suite {path!r} is not written beside the plan: it is no JSON, or would be a hidden file." for path in left]

    def _suites(self) -> dict[str, str]:
        return {path: text for path, text in self.suites.items() if not _hidden(path) and _is_json(text)}


def _hidden(path: str) -> bool:
    first, *rest = PurePosixPath(path).parts or ("",)
    return (first.startswith(".") and first != ELSEWHERE) or any(part.startswith(".") for part in rest)


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _placed(folder: Path, texts: Mapping[str, str]) -> Iterator[tuple[Path, str]]:
    for path, text in texts.items():
        parts = PurePosixPath(path).parts
        if parts and not path.startswith("/") and ".." not in parts:  # a name that would leave the folder was never written by us
            yield folder.joinpath(*parts), text


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


def stored_records(vault: "Vault") -> StoredRecords:
    """Of the vault's first location."""
    from holdfast.vault.records.copies import journals, newest_plan, newest_runbooks, newest_suites

    storage, notary = vault.locations.first, vault.notary
    plan, plan_wrong = newest_plan(storage, notary)
    runbooks, runbooks_wrong = newest_runbooks(storage, notary)
    suites, suites_wrong = newest_suites(storage, notary)
    lines, lines_wrong = journals(storage, notary)
    problems = {tag: found[0].text for tag, some in lines.items() if (found := check(tag, some)[1])}
    for tag, text in _anchored(vault, lines):
        problems.setdefault(tag, text)
    wrong = [*plan_wrong, *runbooks_wrong, *suites_wrong, *lines_wrong]
    return StoredRecords(plan, runbooks, suites, lines, problems, wrong)


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
