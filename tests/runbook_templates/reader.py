"""Somebody who has only the printed page: types what it says, in its order, word for word, and fills in what it leaves blank."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

STEP = re.compile(r"^\*\*☐ Step (\d+): (.+)\*\* \(`([\w-]+)`, (\w+)\)", re.MULTILINE)
BLOCK = re.compile(r"^(`{3,})sh\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
ONLY = re.compile(r"^Only when \$(\w+) is ([\w-]+); else strike it out\.$", re.MULTILINE)
WRITE_DOWN = re.compile(r'^- Write down (?:what it prints as "([^"]+)")?.*?: `export (\w+)=\'`_', re.MULTILINE)
BLANK = re.compile(r"_{6,}")
TOOK_BACK = "- Only to take it back"
UNSURE = "- Are you not sure"


@dataclass(frozen=True)
class Read:
    """One step of the page as its reader sees it. ``block`` is what to type, without that of the doubtful and of the one who gives up."""

    id: str
    kind: str
    only: tuple[str, str] | None
    block: str
    writes: tuple[tuple[str, str], ...]
    text: str


def head(page: str) -> list[str]:
    """The blocks above the first step."""
    return [found[2] for found in BLOCK.finditer(page[: STEP.search(page).start()])]  # type: ignore[union-attr]


def steps(page: str) -> Iterator[Read]:
    found = list(STEP.finditer(page))
    for number, one in enumerate(found):
        text = page[one.end() : found[number + 1].start() if number + 1 < len(found) else len(page)]
        plain = re.split(f"^({TOOK_BACK}|{UNSURE})", text, maxsplit=1, flags=re.MULTILINE)[0]
        block, only = BLOCK.search(plain), ONLY.search(text)
        writes = tuple((path, name) for path, name in WRITE_DOWN.findall(text))
        yield Read(one[3], one[4], (only[1], only[2]) if only else None, block[2] if block else "", writes, text)


def script(page: str, blanks: Mapping[str, str], changed: Mapping[str, str], deeds: Mapping[str, str]) -> str:
    """What the reader types, as one shell script that stops at the first failure.

    ``blanks``: values for the blanks of ``export`` lines, by variable; ``changed``: what is proposed on such a line and is not so here;
    ``deeds``: by step, in shell, what a person does who is asked for something that is not typed.
    """
    typed = ["set -euo pipefail", *(_filled(block, blanks, changed) for block in head(page))]
    for step in steps(page):
        lines = [f"echo '--- {step.id}'"]
        if step.kind == "wait":
            lines += [f"until (\n{step.block}\n); do sleep 1; done"]
        elif step.writes and step.block:
            lines += [f"{{\n{step.block}\n}} | tee /dev/stderr > said"]
            lines += [f"export {name}=$({_LOOK} {path})" for path, name in step.writes]
        elif step.writes:
            lines += [f"export {name}={blanks[name]}" for _, name in step.writes]
        else:
            lines += [step.block]
        lines += [deeds.get(step.id, "")]
        said = "\n".join(lines)
        typed.append(f'if test "${step.only[0]}" = {step.only[1]}; then\n{said}\nfi' if step.only else said)
    return "\n".join(typed) + "\necho '--- the end'\n"


_LOOK = """python3 -c 'import json, sys; print(json.load(open("said"))[sys.argv[1]])'"""


def _filled(block: str, blanks: Mapping[str, str], changed: Mapping[str, str]) -> str:
    lines = []
    for given in block.split("\n"):
        line = given
        name = line.removeprefix("export ").partition("=")[0]
        if name in changed:
            assert not BLANK.search(line), f"{name} is left blank: nothing is proposed there"
            line = f"export {name}='{changed[name]}'"
        elif BLANK.search(line):
            assert name in blanks, f"the page says nothing of {line}"
            line = BLANK.sub(lambda _, name=name: blanks[name], line)
        lines.append(line)
    return "\n".join(lines)
