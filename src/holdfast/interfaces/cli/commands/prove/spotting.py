"""``holdfast verify --spot-check`` and its ``--record``."""

from collections.abc import Sequence

from holdfast.interfaces.cli.context import Session


def asked(session: Session, systems: Sequence[str]) -> int:
    """Say what a person is to restore by hand."""
    from holdfast.assembly.evidence.spotchecks import SpotCheckUsage, ask

    names = session.select(tuple(systems))
    if len(names) != 1:
        raise SpotCheckUsage("A spot check is of one system.", hint="holdfast verify SYSTEM --spot-check")
    one = ask(session.platform, names[0])

    def human() -> None:
        out = session.out
        out.say(f"Spot check {one.id} of {one.system}: get back by hand, by {one.guide}, into a place of its own:")
        out.say(f"  {one.item}  ({one.size} bytes on disk, of the point {one.point[:14]})")
        out.say("Type, with places of your own, and with nothing kept from earlier times:")
        for step in one.steps:
            out.say(f"  {step}")
        out.say("Then record the hash that the last step prints, and remove what was restored:")
        out.say(f"  holdfast verify --record {one.id} --result HASH")

    session.out.result(one.to_json(), human)
    return 0


def recorded(session: Session, id_: str, result: str | None, by: str | None, note: str | None) -> int:
    """Hold what the person computed against the vault. Exit status 1 where it is something else."""
    from holdfast.assembly.evidence.spotchecks import SpotCheckUsage, record
    from holdfast.interfaces.cli.commands.runbook.runs.person import person

    if result is None:
        raise SpotCheckUsage("--record needs the hash that was computed.", hint=f"holdfast verify --record {id_} --result HASH")
    done = record(session.platform, id_, result, by=person(by).name, note=note or "")
    words = "is what the vault holds: recorded" if done.ok else "is not that of what the vault holds: recorded as failed"
    session.out.result(done.to_json(), lambda: session.out.say(f"Spot check {done.id} of {done.system}: the hash {words}."))
    return 0 if done.ok else 1
