"""``holdfast evidence verify``.

JSON: ``{"verdict": "sound" | "altered" | "unknown signer", "files": [{"file", "verdict", "problems": [text…], "notes": [text…], "number",
"chain", "run", "outcome", "host", "key", "vouched": "root" | "host" | "", "sha256", "previous"} | {"file", "verdict", "problems", "notes",
"period", "counts", "chain", "host", "key", "vouched", "sha256"}], "between": [text…]}``. Exit status 0 when
every file is sound and none is missing between them, 1 when anything was altered, 2 when nobody was named to be believed.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from holdfast.errors import Usage
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, Option
from holdfast.interfaces.cli.terminal.tables import Cell

if TYPE_CHECKING:
    from holdfast.evidence.verifier import Verdict


class EvidenceUsage(Usage):
    """Files or keys that a check of evidence was given cannot be read."""

    code = "evidence-usage"


def command(
    session: Session,
    files: Annotated[tuple[Path, ...], Argument("reports as they were issued", "FILE")],
    *,
    root: Annotated[tuple[str, ...], Option("public key of the vault's root, or of a host: 64 hex digits", metavar="HEX")] = (),
    authority: Annotated[tuple[Path, ...], Option("root certificate of a time-stamp authority", metavar="PEM")] = (),
    vault: Annotated[bool, Option("compare with what lies in the plan's vault too: report, anchor and journal, in every location")] = False,
) -> int:
    """Check signed reports, offline: content, signature, journal, anchor, time stamps, and that none is missing between them.

    Whom to believe: --root, else the roots of the vaults that this host worked with. What was signed again with another key is altered.
    """
    from holdfast.evidence.verifier import certificates, gaps, verify

    trusted = [_key(text) for text in root] or known_roots(session)
    try:
        given = certificates(authority)
        read = [(path, path.read_bytes()) for path in files]
    except (OSError, ValueError) as error:
        raise EvidenceUsage(f"A file cannot be read: {error}.", hint="Name reports, and certificates in PEM.") from error
    found = [(path, verify(data, trusted, given)) for path, data in read]
    if vault:
        _compare(session, [(verdict, data) for (_, verdict), (_, data) in zip(found, read, strict=True)])
    between = gaps([verdict for _, verdict in found])
    states = [verdict.state for _, verdict in found]
    verdict = "altered" if between or "altered" in states else "unknown signer" if "unknown signer" in states else "sound"
    document: dict[str, Any] = {
        "verdict": verdict,
        "files": [
            {"file": str(path), "verdict": one.state, "problems": one.problems, "notes": one.notes, **one.facts} for path, one in found
        ],
        "between": between,
    }

    def human() -> None:
        for path, one in found:
            mark = Cell(one.state, "ok" if one.state == "sound" else "fail")
            what = _what(one.facts)
            session.out.table(("verdict", "file", "what"), [(mark, str(path), what)])
            for text in (*one.problems, *one.notes):
                session.out.say(f"  {text}")
        for text in between:
            session.out.say(text)

    session.out.result(document, human)
    return {"sound": 0, "altered": 1}.get(verdict, 2)


def _what(facts: dict[str, Any]) -> str:
    if "period" in facts:
        return f"tests of {facts['period']}, by {facts['host']}"
    return f"report {facts['number']} of {facts['host']}, run {facts['run']}" if facts else ""


def _compare(session: Session, found: "list[tuple[Verdict, bytes]]") -> None:
    """What the host's key could have signed anew is compared with what nobody could take back."""
    from holdfast.assembly.evidence.compared import compared

    for verdict, data in found:
        if verdict.state == "sound":
            wrong, lacking = compared(session.platform.vault(), data)
            verdict.problems += wrong
            verdict.notes += lacking
            verdict.state = "altered" if wrong else "sound"


def known_roots(session: Session) -> list[str]:
    """Roots of the vaults that this host worked with: public, so no plan and no vault is needed to know them."""
    from holdfast.evidence.roots import Roots
    from holdfast.state import directory

    del session
    return list(Roots(directory(os.environ) / "journal").all().values())


def _key(text: str) -> str:
    found = text.strip().lower()
    if len(found) != 64 or any(digit not in "0123456789abcdef" for digit in found):
        raise EvidenceUsage(f"'{text}' is no public key.", hint="64 hex digits, as 'holdfast evidence key' prints them.")
    return found
