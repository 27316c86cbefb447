"""``holdfast evidence anchor``: JSON ``{"anchor": {"document", "signature", "stamps", "locations": [{"url", "locked_until"}]} | null}``.

Exit status 1 where no location took it.
"""

from holdfast.interfaces.cli.context import Session


def command(session: Session) -> int:
    """Sign the head of this host's journal and put it into every location, locked where the location locks.

    'holdfast due --run' does it as often as the plan says, and every run that proved something does.
    """
    from holdfast.assembly.evidence.proving import Prover

    platform = session.platform
    platform.vault()
    made = Prover(platform, session.out.warn).anchor()

    def human() -> None:
        if made is None:
            session.out.say("There is no journal yet, or this key only reads.")
            return
        session.out.say(f"Entry {made.n} of the journal {made.chain}, {len(made.stamps)} time stamps, in:")
        for one in made.locations:
            session.out.say(f"  {one['url']}" + (f", locked until {one['locked_until']}" if one["locked_until"] else ", not locked"))

    session.out.result({"anchor": None if made is None else made.to_json()}, human)
    return 0 if made is not None and made.locations else 1
