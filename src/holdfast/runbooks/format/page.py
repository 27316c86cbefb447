"""A runbook as a page for paper: facts, what to have ready, every step as a person does it by hand, with room to write. Markdown."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from holdfast.runbooks.actions.contract import Action
from holdfast.runbooks.actions.registry import ACTIONS
from holdfast.runbooks.format.compile import Snapshot
from holdfast.runbooks.format.insert import REFERENCE, as_text

_LINE = "______________________"


def variable(reference: str) -> str:
    """The shell variable that stands for a reference on paper: PARAM_TARGET, OUT_RESTORE_PORT."""
    step, dot, name = reference.partition(".")
    plain = (f"OUT_{step}_{name}" if dot else f"PARAM_{reference}").upper()
    return re.sub(r"[^A-Z0-9_]", "_", plain)


def page(snapshot: Snapshot, actions: Mapping[str, Action] = ACTIONS) -> str:
    """The whole page. Nothing on it needs the program, but steps that call it."""
    document = snapshot.document
    lines = [f"# {document['title']}", "", f"Runbook `{document['name']}`, {snapshot.hash[:19]}", ""]
    lines += _facts(document)
    lines += ["", f"Incident {_LINE}   begun {_LINE}   led by {_LINE}", "", *_needs(document, actions), *_parameters(document)]
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


def _parameters(document: Mapping[str, Any]) -> Iterator[str]:
    if not document["parameters"]:
        return
    yield from ["", "## Write down, and type into the shell first", "", "```sh"]
    for name, shape in document["parameters"].items():
        place = shape.get("from", {})
        value = _LINE
        if shape["type"] == "secret":
            value = f'"${place["env"]}"' if "env" in place else f'"$(cat {place["file"]})"' if "file" in place else _LINE
        elif shape.get("default") is not None:
            value = f"{shape['default']}"
        about = shape.get("ask") or shape["type"]
        choices = f" ({' | '.join(shape['of'])})" if shape.get("of") else ""
        yield f"export {variable(name)}={value}   # {about}{choices}"
    yield "```"


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
        yield f"- Write down {path} of what it prints: `export {taken}=`{_LINE}"
    for path, wanted in step.get("expect", {}).items():
        yield f"- It must show {path}: {_references(as_text(wanted))}"
    if step.get("probe"):
        yield f"- Did it happen? Status 0 means yes{_expected(step['probe'])}:"
        yield from ["", *_fenced(_told(step["probe"]["action"], actions))]
    if step.get("undo"):
        undo = step["undo"]
        yield "- To take it back:" if undo.get("action") else f"- To take it back: {_references(undo['do'])}"
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
    yield f"- Write down: `export {variable(step['id'] + '.choice')}=`{_LINE}"


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
