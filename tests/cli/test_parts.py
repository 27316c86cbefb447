"""Times, confirmation, tables, progress: each on its own."""

import datetime as dt
import io
import json
import threading
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.interfaces.cli.grammar.command import Argument, Option, add_parameters, call
from holdfast.interfaces.cli.grammar.parser import Parser, WrongUsage
from holdfast.interfaces.cli.terminal.confirm import NotConfirmed, confirm
from holdfast.interfaces.cli.terminal.output import Output, ready
from holdfast.interfaces.cli.terminal.progress import LineProgress, amount
from holdfast.interfaces.cli.terminal.tables import Cell, plain_table
from holdfast.interfaces.cli.terminal.times import understood
from holdfast.plan.values.moments import BadTime, parse_time

BERLIN = ZoneInfo("Europe/Berlin")
NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-21T10:00:00+01:00", "2026-11-21T09:00:00+00:00"),
        ("2026-11-21T10:00:00Z", "2026-11-21T10:00:00+00:00"),
        ("2026-11-21 10:00", "2026-11-21T09:00:00+00:00"),
        ("2026-11-21", "2026-11-20T23:00:00+00:00"),
        ("10m ago", "2026-11-21T11:50:00+00:00"),
        ("1h30m ago", "2026-11-21T10:30:00+00:00"),
        ("1h 30m  ago", "2026-11-21T10:30:00+00:00"),
        ("now", "2026-11-21T12:00:00+00:00"),
        ("9:30", "2026-11-21T08:30:00+00:00"),
        ("yesterday 22:00", "2026-11-20T21:00:00+00:00"),
        ("yesterday", "2026-11-19T23:00:00+00:00"),
        ("Today at 8:00", "2026-11-21T07:00:00+00:00"),
        ("2026-11-21T10:00:00.123456+00:00", "2026-11-21T10:00:00.123456+00:00"),
    ],
)
def test_times(text, expected):
    assert parse_time(text, now=NOW, zone=BERLIN).astimezone(dt.UTC).isoformat() == expected


@pytest.mark.parametrize("text", ["", "soon", "ago", "10 ago", "x ago", "25:00", "2026-13-01", "yesterday maybe", "9999999w ago"])
def test_no_times(text):
    with pytest.raises(BadTime) as caught:
        parse_time(text, now=NOW, zone=BERLIN)
    assert "ISO 8601" in caught.value.hint


@given(st.text(max_size=30))
def test_any_text_is_a_time_or_told(text):
    try:
        assert parse_time(text, now=NOW, zone=BERLIN).tzinfo is not None
    except BadTime as error:
        assert error.hint  # noqa: PT017 - both outcomes are right


@given(st.datetimes(dt.datetime(2000, 1, 1), dt.datetime(2100, 1, 1), timezones=st.just(dt.UTC)))
def test_what_is_understood_is_read_back_as_the_same(moment):
    shown = understood(moment, now=NOW, zone=BERLIN).partition(" ")[0]
    assert parse_time(shown, now=NOW, zone=dt.UTC) == moment


def test_a_time_that_the_clocks_had_twice_or_never_is_asked_back():
    with pytest.raises(BadTime) as twice:
        parse_time("2026-10-25 02:30", now=NOW, zone=BERLIN)
    assert "was twice" in twice.value.message
    assert "2026-10-25T02:30:00+02:00 for the first, 2026-10-25T02:30:00+01:00 for the second" in twice.value.hint
    with pytest.raises(BadTime) as never:
        parse_time("2026-03-29 02:30", now=NOW, zone=BERLIN)
    assert "never was" in never.value.message


def test_the_instant_understood_says_how_far_it_is():
    assert understood(NOW - dt.timedelta(minutes=10), now=NOW, zone=BERLIN) == "2026-11-21T12:50:00+01:00 (10m ago)"
    assert understood(NOW + dt.timedelta(hours=1), now=NOW, zone=BERLIN).endswith("(in 1h)")
    assert understood(NOW, now=NOW, zone=BERLIN).endswith("(now)")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_confirming_takes_the_name():
    said = io.StringIO()
    confirm("orders-db", "drop it", yes=False, stdin=Terminal("orders-db\n"), stderr=said)
    assert said.getvalue() == "This will drop it.\nType orders-db to go on: "


@pytest.mark.parametrize("typed", ["\n", "yes\n", "orders\n", ""])
def test_another_word_changes_nothing(typed):
    with pytest.raises(NotConfirmed) as caught:
        confirm("orders-db", "drop it", yes=False, stdin=Terminal(typed), stderr=io.StringIO())
    assert caught.value.status == 4


def test_nobody_there_to_ask():
    with pytest.raises(NotConfirmed) as caught:
        confirm("orders-db", "drop it", yes=False, stdin=io.StringIO("orders-db\n"), stderr=io.StringIO())
    assert "--yes" in caught.value.hint
    confirm("orders-db", "drop it", yes=True, stdin=io.StringIO())


def test_plain_tables_are_aligned_lines():
    rows = [["orders-db", Cell("5s", "ok")], ["a", "1m\n30s"]]
    assert list(plain_table(["system", "rpo"], rows, right=[1])) == ["SYSTEM        RPO", "orders-db      5s", "a          1m 30s"]


def test_a_terminal_gets_a_table_and_text_that_looks_like_markup_stays_text():
    screen = Terminal()
    Output(stdout=screen).table(["what"], [["[red]x[/red]"], [Cell("fail", "fail")]], title="T")
    assert "[red]x[/red]" in screen.getvalue()


def test_what_json_cannot_write_has_one_shape_everywhere():
    found = json.loads(json.dumps([NOW, dt.timedelta(minutes=1), Path("/x"), Cell("a"), {2, 1}], default=ready))
    assert found == ["2026-11-21T12:00:00+00:00", 60.0, "/x", {"text": "a", "style": ""}, [1, 2]]
    with pytest.raises(TypeError):
        ready(object())


def test_a_stream_that_knows_few_letters_still_gets_the_line():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    Output(stdout=stream).say("naïve → é")
    stream.flush()
    assert raw.getvalue() == b"na\\xefve \\u2192 \\xe9\n"


def test_progress_without_a_terminal_is_sparse_and_counts_from_many_threads():
    said = io.StringIO()
    progress = LineProgress(said)
    progress.phase("reading", 8000, "pages")
    threads = [threading.Thread(target=lambda: [progress.advance(1) for _ in range(1000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    progress.phase("writing")
    progress.close()
    lines = said.getvalue().splitlines()
    assert lines[0] == "reading: 8,000 pages …"
    assert lines[1].startswith("reading: done, 8,000 pages in ")
    assert lines[2:] == ["writing …"]
    assert [amount(value, "B") for value in (10, 2048, 5 * 2**30)] == ["10 B", "2 KiB", "5 GiB"]
    assert [amount(value, "checks") for value in (0, 1, 2000)] == ["0 checks", "1 check", "2,000 checks"]
    assert amount(1, "repositories") == "1 repository"


def test_bars_on_a_terminal():
    from holdfast.interfaces.cli.terminal.progress import progress

    screen = Terminal()
    with progress(screen) as bars:
        bars.phase("reading", 2048)
        bars.advance(2048)
        bars.note("a [bold] note")
    assert "reading" in screen.getvalue()
    assert "2 KiB of 2 KiB" in screen.getvalue()
    assert "a [bold] note" in screen.getvalue()


def parsed(function, *words):
    parser = Parser("holdfast x")
    add_parameters(parser, function)
    return call(function, None, parser.parse(list(words)))


def test_a_signature_becomes_a_parser():
    got = {}

    def command(
        session,
        systems: Annotated[tuple[str, ...], Argument("which", "SYSTEM")] = (),
        *,
        to: Annotated[str | None, Option("when", metavar="TIME")] = None,
        workers: Annotated[int, Option("how many")] = 4,
        mode: Annotated[Literal["fast", "spread"], Option("how")] = "fast",
        map_: Annotated[tuple[str, ...], Option("old=new", "--map", "-m")] = (),
        into: Annotated[Path | None, Option("where")] = None,
        dry_run: Annotated[bool, Option("only say")] = False,
        wait: Annotated[bool, Option("wait")] = True,
    ) -> int:
        """Does it."""
        got.update(systems=systems, to=to, workers=workers, mode=mode, map=map_, into=into, dry_run=dry_run, wait=wait)
        return 1

    assert parsed(command) == 1
    assert got == {"systems": (), "to": None, "workers": 4, "mode": "fast", "map": (), "into": None, "dry_run": False, "wait": True}
    parsed(
        command,
        "a",
        "--to",
        "10m ago",
        "--workers",
        "2",
        "--mode=spread",
        "-m",
        "a=b",
        "--map",
        "c=d",
        "--into",
        "/x",
        "--dry-run",
        "--no-wait",
        "b",
    )
    assert got == {
        "systems": ("a", "b"),
        "to": "10m ago",
        "workers": 2,
        "mode": "spread",
        "map": ("a=b", "c=d"),
        "into": Path("/x"),
        "dry_run": True,
        "wait": False,
    }
    for words, said in (
        (["--workers", "x"], "'x' is no whole number"),
        (["--mode", "fats"], "did you mean 'fast'?"),
        (["--work", "1"], "unrecognized"),
    ):
        with pytest.raises(WrongUsage, match=said.replace("?", r"\?")):
            parsed(command, *words)
