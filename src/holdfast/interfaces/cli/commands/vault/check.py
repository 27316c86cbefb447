"""``holdfast vault check``: JSON is ``holdfast.vault.check.Report``.

Exit status 5 for damage, 3 where a location did not answer, 1 for a gap in a log.
"""

from typing import TYPE_CHECKING, Annotated

from holdfast.errors import Usage
from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Option
from holdfast.interfaces.cli.terminal.tables import Cell
from holdfast.model import counted
from holdfast.plan import human_size

if TYPE_CHECKING:
    from holdfast.vault.check import Report


class BadShare(Usage):
    """What stands behind --read is neither a share nor ``all``."""

    code = "bad-share"


class Share:
    """``all``, or a percentage such as ``10%``."""

    def __init__(self, text: str) -> None:
        try:
            self.value = 1.0 if text == "all" else float(text.removesuffix("%")) / 100
        except ValueError:
            self.value = -1.0
        if not 0 <= self.value <= 1:
            raise BadShare(f"'{text}' is no share of the vault.", hint="Write --read 10% or --read all.")


def command(
    session: Session,
    *,
    read: Annotated[
        Share | None, Option("read this share of the packs and logs too, and check every byte of it", metavar="SHARE|all")
    ] = None,
    location: Annotated[str | None, Option("only this one", metavar="NAME")] = None,
    heal: Annotated[bool, Option("replace what is damaged by a sound copy from another location")] = False,
) -> int:
    """Check the vault: structure always, content as far as --read says. Names what each damage hurts."""
    from holdfast.protection.recorded import recorded
    from holdfast.vault.check import Check

    only = session.platform.url(session.plan.location(location)) if location else None
    platform, share = session.platform, read.value if read else 0.0
    vault = platform.vault()
    with (
        session.progress() as progress,
        recorded(platform.state, platform.journal, session.clock, "vault-check", None, share=share, heal=heal, only=only) as work,
    ):
        report = Check(vault, share=share, heal=heal, only=only, progress=work.watch(progress)).run()
        work.add(ok=report.ok, verdict=report.verdict, found=len(report.wrong), read=report.read, results=report.results)

    if not only and (report.wrong or not report.silent):
        # Silence proves nothing, and disproves nothing. What is found wrong anywhere in the vault leaves no system's structure proved.
        found = len([one for one in report.found if one.severity != "notice"])
        for name in session.plan.systems:
            if vault.points(name):
                session.platform.state.proofs.add(name, "structure", ok=report.ok, found=found)

    def human() -> None:
        out = session.out
        rows = [
            (
                Cell(one.severity, "dim" if one.severity == "notice" else "fail"),
                one.code,
                one.location,
                one.object,
                one.detail,
                "healed" if one.healed else one.unhealed,
            )
            for one in report.found
        ]
        if rows:
            out.table(("what", "code", "location", "object", "detail", ""), rows)
        hurt: dict[str, None] = {}
        for one in report.found:
            for point, system in one.hurts.items():
                files = one.files.get(point, [])
                hurt[f"  {one.object} hurts point {point[:14]} of {system}{': ' + ', '.join(files[:5]) if files else ''}"] = None
        for sentence in hurt:  # the same object may be damaged in several locations
            out.say(sentence)
        for url, count in report.objects.items():
            out.say(f"{url}: {counted(count, 'object')}, {human_size(report.bytes[url])}")
        for url, why in report.silent.items():
            out.warn(f"{url} was not checked to the end: {why}")
        checked = f"; {human_size(report.read)} read and checked" if report.read else "; no content was read: see --read"
        out.say(f"{_verdict(report)}{checked}.")

    session.out.result(report.to_json(), human)
    return 0 if report.ok else 5 if report.damaged else 3 if report.silent else 1


def _verdict(report: "Report") -> str:
    if report.damaged:
        return "The vault is DAMAGED"
    if report.silent:
        return "Whether the vault is whole is NOT KNOWN: not every location answered"
    return "The vault is whole" if report.ok else "A log has a gap"
