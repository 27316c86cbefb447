"""A runbook as a page for paper: facts, what to have ready, every step as a person does it by hand, with room to write. Markdown."""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast.runbooks.actions.contract import Action
from holdfast.runbooks.actions.registry import ACTIONS
from holdfast.runbooks.format.compile import Snapshot
from holdfast.runbooks.format.insert import REFERENCE, as_text

_LINE = "______________________"
_READING = """\
## How to read this page

Do the steps in their order. In each grey block is what to type, word for word, into one and the same shell: it remembers what was written
down with `export`. In a new shell type all the `export` lines again. A line of underscores is a place for you: write the value there, on
paper and, between the quotes, into the shell. Right after a command `echo $?` shows its status: 0 is success, or *yes*; 1 is *no*. Whatever
else a command says, read it before you go on.
"""


@dataclass(frozen=True)
class Vault:
    """Where the vault can be reached: ``addresses`` of its locations, each with the endpoint of its store or None. ``plan``: the folder in
    which the plan lies on a machine that has one. ``extras``: what is to be installed with Holdfast.
    """

    addresses: Sequence[tuple[str, str | None]] = ()
    plan: str = ""
    extras: Sequence[str] = ()


def variable(reference: str) -> str:
    """The shell variable that stands for a reference on paper: PARAM_TARGET, OUT_RESTORE_PORT."""
    step, dot, name = reference.partition(".")
    plain = (f"OUT_{step}_{name}" if dot else f"PARAM_{reference}").upper()
    return re.sub(r"[^A-Z0-9_]", "_", plain)


def page(snapshot: Snapshot, actions: Mapping[str, Action] = ACTIONS, vault: Vault = Vault()) -> str:
    """The whole page. Nothing on it needs the program, but steps that call it; for those it says how to come by program and vault."""
    document = snapshot.document
    lines = [f"# {document['title']}", "", f"Runbook `{document['name']}`, {snapshot.hash[:19]}", ""]
    lines += _facts(document)
    lines += ["", f"Incident {_LINE}   begun {_LINE}   led by {_LINE}", "", *_READING.split("\n"), *_needs(document, actions)]
    lines += [*_begin(document, vault), *_parameters(document)]
    lines += ["", "---", "", *_body(snapshot, actions), "", f"Ended {_LINE}   accepted by {_LINE}", ""]
    return "\n".join(lines)


def _facts(document: Mapping[str, Any]) -> Iterator[str]:
    said = {
        "Purpose": document.get("purpose"),
        "Systems": ", ".join([*document["systems"], *document["affects"]]),
        "When to use it": document.get("trigger"),
        "RTO": document.get("rto"),
        "RPO": document.get("rpo"),
        "Severity": document.get("severity"),
        "Owner": document.get("owner"),
    }
    said |= {f"Role {name}": ", ".join(people) or _LINE for name, people in document["roles"].items()}
    yield from ["| | |", "|---|---|"]
    for name, value in said.items():
        if value:
            yield f"| {name} | {' '.join(str(value).split())} |"


def _needs(document: Mapping[str, Any], actions: Mapping[str, Action]) -> Iterator[str]:
    needs = document["needs"]
    if not any(needs.values()):
        return
    yield from ["## Have ready", ""]
    for access in needs["access"]:
        check = f": `{_told(access['check']['action'], actions)}`" if access.get("check") else ""
        yield f"- [ ] Access: {access['text']}{check}"
    for tool in needs["tools"]:
        why = f" ({tool['why']})" if tool.get("why") else ""
        yield f"- [ ] Tool: `{tool['name']}`{why}"
    for text in needs["information"]:
        yield f"- [ ] Known: {text} {_LINE}"


def _begin(document: Mapping[str, Any], vault: Vault) -> Iterator[str]:
    """From a machine that knows nothing to one on which the page's commands work."""
    if "holdfast" not in json.dumps([document["steps"], document["needs"]["access"]]):
        return
    yield from ["", "## Begin", ""]
    if vault.plan:
        yield from ["On a machine that has Holdfast and the plan:", "", "```sh", f"cd {shlex.quote(vault.plan)}", "```", ""]
    which = "any other" if vault.plan else "any"
    yield f"On {which} machine with Python 3.11 or newer and what is listed above, also when only this page and the vault's key are left:"
    yield ""
    extras = f"[{','.join(vault.extras)}]" if vault.extras else ""
    yield from ["```sh", "python3 -m venv /opt/holdfast", f"/opt/holdfast/bin/pip install {shlex.quote('holdfast' + extras)}"]
    first, *others = vault.addresses or [(_LINE, None)]
    said = (
        "".join(f"   # or '{url}'" for url, _ in others)
        if vault.addresses
        else "   # the vault's address: file:///folder, s3://bucket/prefix"
    )
    yield from ["export PATH=/opt/holdfast/bin:$PATH", f"export VAULT={_quoted(first[0])}{said}"]
    yield f"export HOLDFAST_KEY='{_LINE}'   # the vault's key: its passphrase, or the recovery key on paper (hf1-...)"
    yield from ["mkdir -p recovery && cd recovery", "```", ""]
    buckets = [(url, endpoint) for url, endpoint in vault.addresses if url.startswith("s3://")]
    if buckets or not vault.addresses:
        yield from ["Is the address a bucket (`s3://...`), its credentials:", "", "```sh"]
        yield f"export AWS_ACCESS_KEY_ID='{_LINE}' AWS_SECRET_ACCESS_KEY='{_LINE}' AWS_REGION='{_LINE}'"
        for url, endpoint in buckets:
            if endpoint:
                yield f"export AWS_ENDPOINT_URL={_quoted(endpoint)}   # for {url}"
        yield from ["```", ""]
    yield from ["Then:", "", "```sh", 'holdfast vault open "$VAULT" --records records --write-plan holdfast.yaml', "```", ""]
    yield "It shows what lies in the vault, and writes the plan that lay there, turned to this location. Runbooks, too, are in `records`."


def _quoted(text: str) -> str:
    return f"'{text}'" if "'" not in text else shlex.quote(text)


def _parameters(document: Mapping[str, Any]) -> Iterator[str]:
    if not document["parameters"]:
        return
    yield from ["", "## Write down, and type into the shell first", "", "What stands there is proposed: change it where it is not so."]
    yield from ["", "```sh"]
    for name, shape in document["parameters"].items():
        yield f"export {variable(name)}={_value(shape)}   # {_about(shape)}"
    yield "```"


def _value(shape: Mapping[str, Any]) -> str:
    place = shape.get("from", {})
    if shape["type"] == "secret":
        return f'"${place["env"]}"' if "env" in place else f'"$(cat {shlex.quote(place["file"])})"' if "file" in place else f"'{_LINE}'"
    default = shape.get("default")
    if default is None:
        return "''" if not shape.get("required", True) else f"'{_LINE}'"
    return shlex.quote(as_text(default))


_LIKE = {"time": "2026-11-21T10:00:00Z", "duration": "30m", "size": "10GiB", "url": "s3://bucket/prefix"}


def _about(shape: Mapping[str, Any]) -> str:
    """What belongs there: on one line, and nothing in it that a shell could take for more than a remark."""
    said = [shape.get("ask") or shape["type"]]
    if shape.get("of"):
        said.append(f"{' | '.join(shape['of'])}{' | TIME' if shape['type'] == 'time' else ''}")
    like = shape.get("example") or _LIKE.get(shape["type"])
    if like and (shape.get("default") is None or shape["type"] == "time"):
        said.append(f"like {like}")
    if shape.get("default") is None and not shape.get("required", True):
        said.append("may stay empty")
    return " ".join("; ".join(said).split())


def _body(snapshot: Snapshot, actions: Mapping[str, Action]) -> Iterator[str]:
    """The file's own text, each step block replaced by what a person does."""
    lines = snapshot.document["source"].removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    at = snapshot.page.body - 1
    for number, (step, block) in enumerate(zip(snapshot.steps, snapshot.page.blocks, strict=True), 1):
        yield from _prose(lines[at : block.first - 2], snapshot.document["title"])
        indent = lines[block.first - 2][: len(lines[block.first - 2]) - len(lines[block.first - 2].lstrip())]
        yield from (f"{indent}{line}".rstrip() for line in step_lines(number, step, actions))
        at = block.first + block.text.count("\n")
    yield from _prose(lines[at:], snapshot.document["title"])


def _prose(lines: list[str], title: str) -> Iterator[str]:
    for line in lines:
        if line.strip() != f"# {title}":
            yield line.rstrip()


def step_lines(number: int, step: Mapping[str, Any], actions: Mapping[str, Action] = ACTIONS) -> Iterator[str]:
    """One step, to be ticked off."""
    yield f"**☐ Step {number}: {step['title']}** (`{step['id']}`, {step['kind']})   by {_LINE} at ________"
    yield ""
    if step.get("when"):
        said = " and ".join(f"{_shown(name)} is {' or '.join(map(str, values))}" for name, values in step["when"].items())
        yield from [f"Only when {said}; else strike it out.", ""]
    yield from _KINDS[step["kind"]](step, actions)
    for name, path in step.get("outputs", {}).items():
        taken = variable(f"{step['id']}.{name}")
        what = "all that it prints" if path == "text" else f'what it prints as "{path}"'
        yield f"- Write down {what}: `export {taken}='`{_LINE}`'`"
    for path, wanted in step.get("expect", {}).items():
        yield f"- It must show {path}: {_references(as_text(wanted))}"
    if step.get("probe"):
        yield f"- Are you not sure whether it happened, this tells: status 0 means yes{_expected(step['probe'])}."
        yield from ["", *_fenced(_told(step["probe"]["action"], actions))]
    if step.get("undo"):
        undo = step["undo"]
        yield (
            "- Only to take it back, should all of this be given up:"
            if undo.get("action")
            else f"- Only to take it back, should all of this be given up: {_references(undo['do'])}"
        )
        if undo.get("action"):
            yield from ["", *_fenced(_told(undo["action"], actions))]
    yield f"- Notes: {_LINE}{_LINE}"


def _automatic(step: Mapping[str, Any], actions: Mapping[str, Action]) -> Iterator[str]:
    # Values are taken out of the JSON, which Holdfast prints when it is asked to.
    asked = " --json" if step["action"]["name"] == "holdfast" and (step.get("outputs") or step.get("expect")) else ""
    yield from _fenced(_told(step["action"], actions) + asked)
    yield f"- It should end within {step['timeout']}."


def _human(step: Mapping[str, Any], _actions: Mapping[str, Action]) -> Iterator[str]:
    yield from [_references(step["do"].strip()), ""]
    if step.get("who"):
        yield f"- Done by the role {step['who']}."


def _decision(step: Mapping[str, Any], _actions: Mapping[str, Action]) -> Iterator[str]:
    yield from [_references(step["ask"].strip()), ""]
    for name, meaning in step["choose"].items():
        yield f"- [ ] {name}: {meaning}"
    if step.get("who"):
        yield f"- Decided by the role {step['who']}."
    yield f"- Write down: `export {variable(step['id'] + '.choice')}='`{_LINE}`'`"


def _approval(step: Mapping[str, Any], _actions: Mapping[str, Action]) -> Iterator[str]:
    yield from [_references(step["ask"].strip()), ""]
    for _ in range(step["quorum"]):
        yield f"- [ ] Approved by {_LINE} (role {step['by']}, not who asked) at ________"
    yield f"- Within {step['expires']}, else ask again."
    if step.get("break_glass"):
        yield f"- Nobody to be had? The role {step['break_glass']} may go on alone, with the reason written here: {_LINE}"


def _wait(step: Mapping[str, Any], actions: Mapping[str, Action]) -> Iterator[str]:
    yield f"Repeat every {step['every']} until it is green{_expected(step['until'])}; stop and think after {step['timeout']}:"
    yield from ["", *_fenced(_told(step["until"]["action"], actions))]


_KINDS = {"automatic": _automatic, "human": _human, "decision": _decision, "approval": _approval, "wait": _wait}


def _told(action: Mapping[str, Any], actions: Mapping[str, Action]) -> str:
    return actions[action["name"]].told(action["spec"], variable)


def _expected(doing: Mapping[str, Any]) -> str:
    said = ", ".join(f"{path} {_references(as_text(wanted))}" for path, wanted in doing.get("expect", {}).items())
    return f" (it must show {said})" if said else ""


def _fenced(text: str) -> Iterator[str]:
    ticks = "````" if "```" in text else "```"
    yield from [f"{ticks}sh", *text.split("\n"), ticks, ""]


def _shown(reference: str) -> str:
    return f"${variable(reference)}"


def _references(text: str) -> str:
    return REFERENCE.sub(lambda found: "${" if found["name"] is None else _shown(found["name"]), text)
