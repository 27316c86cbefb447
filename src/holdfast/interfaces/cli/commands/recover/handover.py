"""``holdfast handover``.

JSON ``{"directory", "files", "left_out", "reaches", "done"}``: the source's configuration files that come back, its lines that do not
(recovery, paths of its host), and those that lead outside (archive, addresses). ``done`` is false with ``--dry-run``.
"""

from pathlib import Path
from typing import Annotated

from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, DryRun


def command(
    session: Session,
    directory: Annotated[Path, Argument("a directory that restore wrote, recovered and stopped", "DIR")],
    *,
    dry_run: DryRun = False,
) -> int:
    """Give a restored, stopped cluster its source's own configuration: from its next start it takes the source's place.

    It then archives, listens and replicates as its source did. The files that kept it apart go to DIR/holdfast.handover/isolated.
    """
    from holdfast.protection.recorded import recorded

    directory = directory.absolute()
    made = session.platform.plan_hand_over(directory)
    document = {
        "directory": str(directory),
        "files": list(made.files),
        "left_out": list(made.left_out),
        "reaches": list(made.reaches),
        "done": not dry_run,
    }
    if not dry_run:
        session.confirm(directory.name, f"let {directory} archive, listen and replicate as its source did")
        session.kept = f"Files are put back one by one, each whole; run it again: holdfast handover {directory}"
        platform = session.platform
        with recorded(platform.state, platform.journal, session.clock, "handover", None, into=directory):
            platform.hand_over(made)

    def human() -> None:
        out = session.out
        out.say(f"{directory}: {'would come back' if dry_run else 'put back'}: {', '.join(made.files)}")
        for line in made.reaches:
            out.say(f"  leads outside   {line}")
        for line in made.left_out:
            out.say(f"  left out        {line}")
        if not dry_run:
            out.say("From its next start it takes its source's place: be sure that the source is down. Then take a backup of it.")

    session.out.result(document, human)
    return 0
