"""``holdfast vault key``: JSON ``{"slots": [{"id", "kind", "role", "label", "created"}], "added"?: id, "removed"?: id, "key"?: text}``."""

import getpass
import os
import sys
from typing import Annotated, Any, Literal

from holdfast.errors import Usage
from holdfast.interfaces.cli.command import Argument, Option
from holdfast.interfaces.cli.context import Session


class KeyCommandIncomplete(Usage):
    """Something that the key command needs was not given."""

    code = "key-command-incomplete"


def command(
    session: Session,
    action: Annotated[Literal["list", "add", "remove"], Argument("list, add or remove", "ACTION")] = "list",
    name: Annotated[str | None, Argument("the slot to remove, by id or label", "SLOT")] = None,
    *,
    kind: Annotated[Literal["passphrase", "recovery", "file"], Option("what the new key is")] = "passphrase",
    role: Annotated[Literal["owner", "reader", "writer"], Option("what it may do: a writer cannot read what it wrote")] = "owner",
    label: Annotated[str, Option("a name to know it by")] = "",
    env: Annotated[
        str | None, Option("the environment variable that holds a new passphrase; by default it is asked for", metavar="NAME")
    ] = None,
) -> int:
    """List, add or remove the keys that open the vault. The last owner's key cannot be removed. A made key is shown once."""
    keys = session.platform.vault().keys
    document: dict[str, Any] = {}
    if action == "add" and kind == "passphrase":
        added = keys.add(_passphrase(env), role=role, label=label, now=session.clock.now())
        document["added"] = added.id
    elif action == "add":
        made = keys.new_key(kind, role=role, label=label, now=session.clock.now())
        document |= {"added": made.slot, "key": made.text}
    elif action == "remove":
        if not name:
            raise KeyCommandIncomplete(
                "Which key slot is to be removed?", hint="holdfast vault key list, then: holdfast vault key remove SLOT"
            )
        session.confirm(name, f"remove the key slot {name}: what it opened stays closed to its holder")
        document["removed"] = keys.remove(name).id
    if document:
        session.platform.journal.record(f"vault.key.{action}", slot=document.get("added") or document.get("removed"), role=role)
    slots = keys.list()
    document["slots"] = [{"id": one.id, "kind": one.kind, "role": one.role, "label": one.label, "created": one.created} for one in slots]

    def human() -> None:
        if "key" in document:
            session.out.say(f"\nThe new key, shown this once:\n\n    {document['key']}\n")
        rows = [
            (one.id, one.kind, one.role, one.label, one.created.astimezone(session.plan.zone).isoformat(timespec="seconds"))
            for one in slots
        ]
        session.out.table(("slot", "kind", "role", "label", "created"), rows)

    session.out.result(document, human)
    return 0


def _passphrase(env: str | None) -> str:
    if env:
        if env not in os.environ:
            raise KeyCommandIncomplete(
                f"The environment variable {env} is not set.", hint="Set it to the new passphrase, or leave --env out."
            )
        return os.environ[env]
    if not sys.stdin.isatty():
        raise KeyCommandIncomplete("Nobody is there to type a passphrase.", hint="Name a variable that holds it: --env NAME")
    first = getpass.getpass("New passphrase: ")
    if first != getpass.getpass("Once more: "):
        raise KeyCommandIncomplete("The two passphrases differ.", hint="Nothing was changed; try again.")
    return first
