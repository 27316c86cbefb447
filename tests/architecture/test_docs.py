"""What the pages say is so: links lead somewhere, named tests, commands, options and make targets exist, the picture shows every room."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "bench" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")
TEST = re.compile(r"`(tests/[\w/.-]+)(?:::(\w+))?`")
FENCE = re.compile(r"^```(\w*).*?\n(.*?)^```", re.MULTILINE | re.DOTALL)


def broken_links(page: Path) -> list[str]:
    """Relative links whose file, or whose heading in it, is not there."""
    found = []
    for target in LINK.findall(page.read_text()):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        there = (page.parent / path) if path else page
        if not there.exists() or (anchor and anchor not in headings(there)):
            found.append(target)
    return found


def headings(page: Path) -> set[str]:
    """Anchors as forges make them of headings."""
    lines = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert broken_links(page) == []


def test_a_broken_link_is_seen(tmp_path):
    page = tmp_path / "page.md"
    (tmp_path / "other.md").write_text("## The right one, here\n")
    page.write_text("[a](other.md#the-right-one-here) [b](gone.md) [c](other.md#wrong) [d](https://example.org/x) [e](#none)")
    assert broken_links(page) == ["gone.md", "other.md#wrong", "#none"]


def test_the_roadmap_names_tests_that_exist():
    named = TEST.findall((ROOT / "docs" / "roadmap.md").read_text())
    assert len(named) > 30
    gone = [f"{path}::{name}" for path, name in named if not _test_exists(path, name)]
    assert gone == []


def _test_exists(path: str, name: str) -> bool:
    place = ROOT / path
    if not name:
        return place.exists()
    return place.is_file() and re.search(rf"^(def|class) {name}\b|^{name} = ", place.read_text(), re.MULTILINE) is not None


def test_the_picture_shows_every_room():
    picture = FENCE.findall((ROOT / "docs" / "architecture.md").read_text())[0][1]
    built = {
        entry.stem for entry in (ROOT / "src" / "holdfast").iterdir() if not entry.name.startswith(("_", "py.")) and entry.suffix != ".so"
    }
    assert [room for room in sorted(built) if not re.search(rf"(?<![(\w]){room}(?![)\w])", picture)] == []
    planned = set(re.findall(r"\((\w+)\)", picture))
    assert planned & built == set(), "these are built, and the picture says that they are not"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_options_exist(page):
    reference = (ROOT / "docs" / "cli.md").read_text()
    sections = dict(re.findall(r"^### `holdfast ([\w -]+)`\n(.*?)(?=^##|\Z)", reference, re.MULTILINE | re.DOTALL))
    everywhere = reference.partition("## Begin")[0]
    text = "\n".join(body for language, body in FENCE.findall(page.read_text()) if language in ("sh", "shell", "bash")).replace("\\\n", " ")
    for line in re.findall(r"^\s*(?:nohup )?holdfast (.+?)(?:\s+#.*)?$", text, re.MULTILINE):
        words = line.split()
        command = next((name for name in (" ".join(words[:2]), words[0]) if name in sections), None)
        assert command, f"{page.name}: holdfast {line}"
        unknown = [word for word in re.findall(r"(?<!\S)--[\w-]+", line) if word not in sections[command] + everywhere]
        assert unknown == [], f"{page.name}: holdfast {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_make_targets_exist(page):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = page.read_text()
    used = re.findall(r"`make ([a-z]+)", text) + re.findall(r"^make ([a-z]+)", text, re.MULTILINE)
    assert [name for name in used if name not in targets] == []
