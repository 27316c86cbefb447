"""``holdfast evidence key``: JSON ``{"vault", "root", "host": {"name", "key", "public"}}``."""

import socket

from holdfast.interfaces.cli.context import Session


def command(session: Session) -> int:
    """Show whom to believe: the vault's root, which certified this host's writer, and the key with which this host signs.

    Hand the root to who checks evidence by another way than the evidence itself.
    """
    platform = session.platform
    vault = platform.vault()
    key = platform.host_key
    document = {
        "vault": vault.id,
        "root": vault.notary.bundle.root_public.hex(),
        "host": {"name": socket.gethostname(), "key": key.id, "public": key.public},
    }

    def human() -> None:
        session.out.say(f"vault       {document['vault']}")
        session.out.say(f"its root    {document['root']}")
        session.out.say(f"this host   {key.public}  ({socket.gethostname()}, key {key.id})")
        session.out.say(f"Check with: holdfast evidence verify FILE --root {document['root']}")

    session.out.result(document, human)
    return 0
