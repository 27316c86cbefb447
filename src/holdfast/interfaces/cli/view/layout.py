"""The model as lines of a terminal of any size, the most important last to go: the question, the clocks, the step at work."""

import datetime as dt
import functools
import io

from holdfast.interfaces.cli.view.model import Model, Question, Row

SIGNS = {
    "pending": ("·", "dim"),
    "running": ("▶", "bold cyan"),
    "requested": ("?", "bold yellow"),
    "done": ("✓", "green"),
    "skipped": ("–", "dim"),
    "failed": ("✗", "bold red"),
    "expired": ("✗", "bold red"),
    "uncertain": ("?", "bold yellow"),
    "again": ("↻", "yellow"),
    "undoing": ("↩", "bold cyan"),
    "undone": ("↩", "yellow"),
}
HELP = "F2 done  F3 skip  F4 abort  Tab choices  F5 output  PgUp/PgDn scroll  Ctrl-L redraw  Ctrl-C stop"
Styled = tuple[str, str]
"""(text, rich's style)."""


def frame(model: Model, typed: str, width: int, height: int, now: dt.datetime) -> list[list[Styled]]:
    """Exactly ``height`` lines, each a row of styled texts no wider than ``width``."""
    width, height = max(width, 10), max(height, 3)
    with model.lock:
        bottom = _question(model.question, typed, model, width, max(height // 2, 2))
        top = [[(f" {model.title}", "bold reverse"), (f"  run {model.run}", "reverse")], _clocks(model, now)]
        top = top[: max(height - len(bottom), 0)]
        room = height - len(top) - len(bottom)
        if model.wide:
            middle = _output(model, room, width)
        else:
            shown = room if not model.shown else max(room - max(room // 3, 1), 1) if room > 3 else room
            middle = _steps(model, min(shown, len(model.rows)), now)
            middle += _output(model, room - len(middle), width)
    lines = [*top, *middle, *[[("", "")]] * (height - len(top) - len(middle) - len(bottom)), *bottom]
    return [_fit(line, width) for line in lines[:height]]


def _clocks(model: Model, now: dt.datetime) -> list[Styled]:
    assert model.since is not None or not model.rows
    if model.since is None:
        return [("", "")]
    spent = now - model.since
    line: list[Styled] = [(f" {_clock(spent)} since {model.since:%H:%M:%S} UTC", "bold")]
    if model.rto is not None:
        left = model.rto - spent
        if left < dt.timedelta(0):
            line.append((f"   RTO {_clock(model.rto)} MISSED by {_clock(-left)}", "bold red"))
        else:
            line.append((f"   RTO {_clock(model.rto)}: {_clock(left)} left", "bold yellow" if left < model.rto / 4 else "green"))
    done = sum(row.mark in ("done", "skipped") for row in model.rows)
    line.append((f"   {done}/{len(model.rows)} steps", ""))
    if model.incident:
        line.append((f"   {model.incident}", ""))
    if model.status not in ("running", ""):
        line.append((f"   {model.status.upper()}", "bold red"))
    return line


def _steps(model: Model, room: int, now: dt.datetime) -> list[list[Styled]]:
    """Round the step that matters now."""
    if room <= 0:
        return []
    rows = model.rows
    busy = [number for number, row in enumerate(rows) if row.mark in ("running", "requested", "undoing", "uncertain", "failed", "expired")]
    asked = model.question.id.split(" ")[0] if model.question else ""
    named = [number for number, row in enumerate(rows) if row.id == asked]
    pending = [number for number, row in enumerate(rows) if row.mark in ("pending", "again")]
    at = (named or busy or pending or [len(rows) - 1])[0]
    first = max(min(at - room // 3, len(rows) - room), 0)
    return [_step(number, row, at == number, now) for number, row in enumerate(rows)][first : first + room]


def _step(number: int, row: Row, current: bool, now: dt.datetime) -> list[Styled]:
    sign, style = SIGNS.get(row.mark, ("·", ""))
    span = ""
    if row.began is not None and row.mark in ("running", "undoing", "requested"):
        span = f"  {_clock(now - row.began)}"
    elif row.began is not None and row.ended is not None:
        span = f"  {_clock(row.ended - row.began)}"
    last = f"  {row.last}" if row.last and row.mark not in ("pending", "running") else ""
    strong = "bold" if current else "dim" if row.mark in ("skipped", "pending") else ""
    return [(f" {sign} ", style), (f"{number + 1:>2} {row.title}", strong), (span, "cyan"), (last, "dim")]


def _output(model: Model, room: int, width: int) -> list[list[Styled]]:
    """The newest lines, or as far back as was scrolled."""
    if room <= 0:
        return []
    lines = [piece for line in model.shown for piece in _pieces(line, width)]
    model.scroll = max(min(model.scroll, len(lines) - room), 0)
    end = len(lines) - model.scroll
    return [[(line, "bold" if line.startswith("── ") else "")] for line in lines[max(end - room, 0) : end]]


def _question(question: Question | None, typed: str, model: Model, width: int, most: int) -> list[list[Styled]]:
    """At the bottom: what is asked, above the line that is typed on."""
    saying: list[list[Styled]] = [[(f" {model.saying}", "yellow")]] if model.saying else []
    if question is None:
        return [*saying, [(" at work; nothing to answer.   F5 output  PgUp/PgDn scroll  Ctrl-L redraw  Ctrl-C stop", "dim")]][-most:]
    text = [piece for line in question.text.splitlines() for piece in _pieces(line, width - 2)]
    choices: list[list[Styled]] = [[(f"   {name}", "bold"), (f": {meaning}", "")] for name, meaning in question.choices]
    # The end of a long answer stays in sight, with the cursor behind it.
    visible = typed[-max(width - 4, 1) :]
    last: list[list[Styled]] = [[(f" {question.prompt}", "dim")], [(" > ", "bold yellow"), (visible, "bold"), ("▏", "yellow")]]
    last.append([(f" {HELP}", "dim")])
    head: list[list[Styled]] = [[("─" * width, "yellow")], [(f" {question.title}", "bold yellow")]]
    body: list[list[Styled]] = [[(f" {line}", "")] for line in text]
    room = max(most - len(last) - len(saying), 0)
    upper = [*head, *body, *choices]
    if len(upper) > room:
        # Choices are needed to answer; of a long text the beginning stays.
        keep = max(room - len(choices) - 1, 0)
        upper = [*[*head, *body][:keep], [(" … (the whole text: holdfast runbook show)", "dim")], *choices][:room]
    # On the smallest screens the line that is typed on stays.
    return [*upper, *saying, *last][-most:] if most >= 4 else last[1:2]


def _pieces(line: str, width: int) -> list[str]:
    """By the width that is shown: some characters take two places."""
    from rich.cells import chop_cells

    return [line] if len(line) * 2 <= width else chop_cells(line, width) or [""]


def _fit(line: list[Styled], width: int) -> list[Styled]:
    from rich.cells import cell_len, set_cell_size

    found: list[Styled] = []
    room = width
    for text, style in line:
        if room <= 0:
            break
        piece = text if cell_len(text) <= room else set_cell_size(text, room)
        found.append((piece, style))
        room -= cell_len(piece)
    return found


def _clock(span: dt.timedelta) -> str:
    seconds = max(int(span.total_seconds()), 0)
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}" if seconds >= 3600 else f"{seconds // 60:02}:{seconds % 60:02}"


def encoded(line: list[Styled], colors: bool) -> str:
    """A line as a terminal takes it."""
    return _encoded(tuple(line), colors)


# Most lines are those of the last time.
@functools.lru_cache(maxsize=512)
def _encoded(line: tuple[Styled, ...], colors: bool) -> str:
    from rich.console import Console
    from rich.text import Text

    if not colors:
        return "".join(text for text, _ in line)
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system="standard", width=10_000, highlight=False, soft_wrap=True)
    console.print(Text.assemble(*line), end="")
    return out.getvalue()
