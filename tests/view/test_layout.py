"""Any run on any size of terminal: every line fits, the line to type on is there; keys in pieces are the same keys."""

import datetime as dt
import random

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from holdfast.interfaces.cli.view.keys import Keys, Line
from holdfast.interfaces.cli.view.layout import SIGNS, frame
from holdfast.interfaces.cli.view.model import Model, Question, Row

NOW = dt.datetime(2026, 11, 21, 12, 0, tzinfo=dt.UTC)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=60)


def made(marks, texts, asked, since=1000.0, rto=900.0):
    rows = [Row(f"s{n}", text, "automatic", mark, NOW, NOW) for n, (mark, text) in enumerate(zip(marks, texts, strict=False))]
    model = Model(
        since=NOW - dt.timedelta(seconds=since), rto=dt.timedelta(seconds=rto), title="A title", run="r", status="running", rows=rows
    )
    model.output.extend(texts * 3)
    if asked:
        model.question = Question(
            "s0 confirm 3", "Do it", "\n".join(texts), tuple((text or "x", text) for text in texts[:3]), "done", ("done",)
        )
    return model


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from(list(SIGNS)), max_size=40),
    st.lists(TEXTS, min_size=1, max_size=40),
    st.booleans(),
    st.booleans(),
    st.integers(3, 60),
    st.integers(10, 220),
    TEXTS,
)
def test_every_line_fits(marks, texts, asked, wide, height, width, typed):
    model = made(marks, texts, asked)
    model.wide = wide
    lines = frame(model, typed, width, height, NOW)
    assert len(lines) == height
    assert max(sum(cell_len(text) for text, _ in line) for line in lines) <= width
    if asked:
        assert any(text == " > " for line in lines for text, _ in line)


def test_the_promise_and_what_is_left_of_it_are_told():
    said = [
        "".join(text for text, _ in frame(made(["running"], ["x"], False, since, 900.0), "", 120, 20, NOW)[1]) for since in (60.0, 1000.0)
    ]
    assert "RTO 15:00: 14:00 left" in said[0]
    assert "RTO 15:00 MISSED by 01:40" in said[1]


def test_the_step_that_matters_is_in_sight_among_many():
    marks = ["done"] * 50 + ["running"] + ["pending"] * 49
    lines = frame(made(marks, [f"step number {n}" for n in range(100)], False), "", 80, 12, NOW)
    assert any("step number 50" in text for line in lines for text, _ in line)


def test_keys_in_pieces_are_the_same_keys():
    data = "dön\x7fe\x1bOQ\x1b[15~\x1b[5~\t\x1b[200~a\nb\x1b[A\x1b[201~\r".encode()
    whole = Keys().feed(data)
    assert [name for name, _ in whole] == ["", "", "", "back", "", "f2", "output", "up", "tab", "", "", "", "enter"]
    for seed in range(50):
        keys, found, chance, rest = Keys(), [], random.Random(seed), data
        while rest:
            size = chance.randint(1, 4)
            found += keys.feed(rest[:size])
            rest = rest[size:]
        assert found == whole


def test_a_line_is_edited_and_tab_goes_through_what_is_offered():
    line = Line()
    offers = ("one", "two")
    for _ in range(3):
        line.press("tab", "", offers)
    assert line.text == "one"
    line.press("", " x", offers)
    assert line.press("tab", "", offers) is None
    assert line.text == "one x"
    line.press("word", "", offers)
    assert line.text == "one "
    line.press("clear", "", offers)
    line.press("", "two", offers)
    assert line.press("enter", "", offers) == "two"
    assert line.text == ""
