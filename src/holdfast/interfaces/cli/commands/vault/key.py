"""``holdfast vault key``.

JSON: ``{"generation", "slots": [{"id", "kind", "role", "scope", "label", "created", "proved", "writer", "damaged"}], "writers": [{"id",
"label", "role", "slots", "revoked"}], "scopes": [{"name", "erase", "slots"}], "added"?: id, "removed"?: id, "key"?: text, "written"?: path,
"epoch"?: number, "proved"?: id, "revoked"?: id, "would"?: action, "plan"?: {…}, "certificate"?: {…}, "locked"?: [sentence]}``.
``erase-scope`` ends with 3 while a location was not reached, 1 while a lock keeps slots.
"""

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from holdfast.interfaces.cli.context import Session
from holdfast.interfaces.cli.grammar.command import Argument, DryRun, Option
from holdfast.interfaces.cli.terminal import newkeys
from holdfast.interfaces.cli.terminal.newkeys import KeyCommandIncomplete
from holdfast.model import counted

if TYPE_CHECKING:
    from holdfast.vault.keys.keyring import Keyring
    from holdfast.vault.keys.kms import Secret

Action = Literal["list", "add", "remove", "label", "prove", "rotate", "revoke", "add-scope", "erase-scope", "complete", "accept"]
_NEEDS_NAME = {
    "remove": "Which key slot is to be removed?",
    "label": "Which key slot is to be labelled?",
    "revoke": "Which writer is to be revoked?",
    "add-scope": "What is the new scope called?",
    "erase-scope": "Which scope is to be erased?",
}


def command(
    session: Session,
    action: Annotated[
        Action, Argument("list, add, remove, label, prove, rotate, revoke, add-scope, erase-scope, complete or accept", "ACTION")
    ] = "list",
    name: Annotated[str | None, Argument("a slot or writer by id or label, or a scope", "NAME")] = None,
    *,
    kind: Annotated[Literal["passphrase", "recovery", "file", "kms"], Option("what the new key is")] = "passphrase",
    role: Annotated[Literal["owner", "reader", "writer"], Option("what it may do: a writer cannot read what others wrote")] = "owner",
    label: Annotated[str, Option("a name to know it by")] = "",
    scope: Annotated[str | None, Option("of this scope, not of the whole vault", metavar="NAME")] = None,
    env: Annotated[
        str | None, Option("the environment variable that holds the passphrase, key or PIN; by default it is asked for", metavar="NAME")
    ] = None,
    key_file: Annotated[Path | None, Option("prove: the file that holds the key", metavar="FILE")] = None,
    to: Annotated[Path | None, Option("write the new key, or the certificate, into this new file (mode 600)", metavar="FILE")] = None,
    pkcs11: Annotated[str | None, Option("kms: the PKCS#11 library of the security module", metavar="LIBRARY")] = None,
    token: Annotated[str | None, Option("kms: the token's label", metavar="LABEL")] = None,
    key: Annotated[str | None, Option("kms: the key's label", metavar="LABEL")] = None,
    generate: Annotated[bool, Option("kms: make the key in the module first")] = False,
    erase: Annotated[
        Literal["after-lock", "at-once"] | None, Option("add-scope: when an erasure takes effect where a location locks objects")
    ] = None,
    dry_run: DryRun = False,
) -> int:
    """The keys that open the vault: who may read, write and manage it, and what is destroyed with a key.

    A change touches no pack. The last owner's key cannot be removed, and none of which the others were never proved to open. A made key is
    shown once.
    """
    if action in _NEEDS_NAME and not name:
        raise KeyCommandIncomplete(_NEEDS_NAME[action], hint=f"holdfast vault key list, then: holdfast vault key {action} NAME")
    word = name or ""
    keys = session.platform.vault().keys
    document: dict[str, Any] = {}
    status = 0

    def held() -> "Secret":
        return newkeys.device(pkcs11, token, key, env) if kind == "kms" else newkeys.known_key(env, key_file)

    if dry_run and action not in {"list", "erase-scope"}:
        document["would"] = action
        if action == "remove":
            document["slot"] = keys.require_removable(word).id
    elif action == "add":
        document |= _add(session, keys, kind, role, label, scope, env, to, (pkcs11, token, key), generate=generate)
    elif action == "remove":
        session.confirm(word, f"remove the key slot {word}: what it opened stays closed to its holder")
        document["removed"] = keys.remove(word).id
    elif action == "label":
        document["labelled"] = keys.label(word, label).id
    elif action == "prove":
        document["proved"] = keys.prove(held(), scope).id
    elif action == "rotate":
        document["epoch"] = keys.rotate(scope)
    elif action == "revoke":
        session.confirm(word, f"revoke the writer {word}: nothing that it signs from now on is believed")
        document["revoked"] = keys.writers.revoke(word).id
    elif action == "add-scope":
        document["added"] = _add_scope(session, keys, word, erase)
    elif action == "erase-scope":
        status = _erase(session, keys, word, document, to, dry_run=dry_run)
    elif action == "complete":
        keys.changes.complete()
    elif action == "accept":
        session.confirm(
            session.plan.platform, "declare that the keyring found in the vault is the right one, though this machine saw a newer one"
        )
        document["generation"] = keys.accept()
    if action not in {"list", "complete"} and not dry_run:
        said = {
            one: document[one] for one in ("added", "removed", "labelled", "proved", "epoch", "revoked", "certificate") if one in document
        }
        session.platform.journal.record(f"vault.key.{action}", role=role, scope=scope, **said)
    _describe(keys, document)
    session.out.result(document, lambda: _show(session, document))
    return status


def _add(
    session: Session,
    keys: "Keyring",
    kind: str,
    role: Any,
    label: str,
    scope: str | None,
    env: str | None,
    to: Path | None,
    where: tuple[str | None, str | None, str | None],
    *,
    generate: bool,
) -> dict[str, Any]:
    now = session.clock.now()
    if kind == "passphrase":
        return {"added": keys.add(newkeys.new_passphrase(env), role=role, label=label, now=now, scope=scope).id}
    if kind == "kms":
        module = newkeys.device(*where, env)
        if generate:
            module.generate()
        return {"added": keys.add(module, role=role, label=label, now=now, scope=scope).id}
    if to is None:
        made = keys.new_key(kind, role=role, label=label, now=now, scope=scope)
        return {"added": made.slot, "key": made.text}
    # The file first: a key that could not be kept opens nothing.
    from holdfast.vault.keys.secret_text import fresh

    text = fresh(kind)
    newkeys.write_new(to, text + "\n")
    try:
        slot = keys.add(text, role=role, label=label or kind, now=now, scope=scope)
    except BaseException:
        to.unlink()
        raise
    return {"added": slot.id, "written": str(to)}


def _add_scope(session: Session, keys: "Keyring", name: str, erase: str | None) -> str:
    scopes = session.plan.document.vault.scopes
    if name not in scopes:
        raise KeyCommandIncomplete(
            f"The plan names no scope '{name}'.", hint=f"Say first where its key is: vault.scopes: {{{name}: {{key: {{env: NAME}}}}}}"
        )
    secret = session.platform.scope_key(name)
    return keys.scopes.add(name, secret, label=name, now=session.clock.now(), erase=erase or scopes[name].erase).id


def _erase(session: Session, keys: "Keyring", name: str, document: dict[str, Any], to: Path | None, *, dry_run: bool) -> int:
    import getpass
    import socket

    plan = keys.scopes.plan(name)
    document["plan"] = plan.to_json()
    if dry_run:
        return 0
    session.confirm(
        name,
        f"destroy every key of the scope {name} in {counted(len(plan.objects), 'location')}: {counted(len(plan.points), 'recovery point')}"
        " will be unreadable for good",
    )
    certificate = keys.scopes.erase(plan, {"host": socket.gethostname(), "user": getpass.getuser()})
    document["certificate"] = certificate
    for cached in session.platform.vault().cache.glob("points-*"):
        cached.unlink(missing_ok=True)
    if to is not None:
        newkeys.write_new(to, json.dumps(certificate, indent=2, ensure_ascii=False) + "\n")
        document["written"] = str(to)
    states = {one["state"] for one in certificate["locations"]}
    return 3 if "not-reached" in states else 1 if states - {"erased"} else 0


def _describe(keys: "Keyring", document: dict[str, Any]) -> None:
    document["slots"] = [
        {
            "id": one.slot.id,
            "kind": one.slot.kind,
            "role": one.slot.role,
            "scope": one.scope,
            "label": one.slot.label,
            "created": one.slot.created,
            "proved": one.proved,
            "writer": one.writer,
            "damaged": list(one.damaged),
        }
        for one in keys.states()
    ]
    document["writers"] = [
        {"id": one.id, "label": one.label, "role": one.role, "slots": list(one.slots), "revoked": one.revoked}
        for one in keys.writers.list()
    ]
    document["scopes"] = [{"name": name, "erase": way, "slots": count} for name, (way, count) in sorted(keys.scopes.present().items())]
    document.setdefault("generation", keys.changes.current().generation)
    if keys.changes.locked:
        document["locked"] = keys.changes.locked


def _show(session: Session, document: dict[str, Any]) -> None:
    zone = session.plan.zone

    def at(moment: dt.datetime | None) -> str:
        return "never" if moment is None else moment.astimezone(zone).isoformat(timespec="seconds")

    if "key" in document:
        session.out.say(f"\nThe new key, shown this once:\n\n    {document['key']}\n")
    if "written" in document:
        session.out.say(f"Wrote {document['written']} (mode 600).")
    if "would" in document:
        session.out.say(f"Nothing was changed; without --dry-run this would {document['would']} {document.get('slot', '')}".rstrip() + ".")
    if "epoch" in document:
        session.out.say(f"Epoch {document['epoch']}: what is written from now on is closed to slots that were removed before.")
    if plan := document.get("plan"):
        _show_plan(session, plan, done="certificate" in document)
    if certificate := document.get("certificate"):
        for one in certificate["locations"]:
            until = f" until {one['until']}" if "until" in one else ""
            session.out.say(f"{one['url']}: {one['state']}{until}")
        for sentence in certificate["does_not_cover"]:
            session.out.say(f"Not covered: {sentence}")
    for sentence in document.get("locked", ()):
        session.out.warn(f"{sentence} The slot is out of force for Holdfast; who has its key and its bytes is not stopped by that: rotate.")
    rows = [
        (
            one["id"],
            one["kind"],
            one["role"],
            one["scope"] or "",
            one["label"],
            at(one["created"]),
            at(one["proved"]),
            ", ".join(one["damaged"]) and f"damaged in {', '.join(one['damaged'])}",
        )
        for one in document["slots"]
    ]
    session.out.table(("slot", "kind", "role", "scope", "label", "created", "opened", ""), rows)
    writers = [(one["id"], one["label"], one["role"], f"revoked {one['revoked']}" if one["revoked"] else "") for one in document["writers"]]
    session.out.table(("writer", "label", "role", ""), writers)


def _show_plan(session: Session, plan: dict[str, Any], *, done: bool) -> None:
    session.out.say(f"The scope {plan['scope']}: {counted(len(plan['slots']), 'slot')}, {counted(plan['points'], 'recovery point')}.")
    for url, objects in plan["objects"].items() if not done else ():
        locked = plan["locked_until"].get(url)
        what = "does not answer" if objects is None else f"{counted(len(objects), 'object')} would be destroyed"
        session.out.say(f"{url}: {what}{f'; locked until {locked}' if locked else ''}")
