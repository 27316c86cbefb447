import contextlib
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.plan import BadValue, format_duration, format_rate, format_size, human_size, parse_duration, parse_rate, parse_size

durations = st.integers(0, 10**13).map(lambda milliseconds: dt.timedelta(milliseconds=milliseconds))


@given(durations)
def test_a_duration_comes_back_from_its_text(value):
    assert parse_duration(format_duration(value)) == value


@given(st.integers(0, 2**60))
def test_a_size_comes_back_from_its_text(value):
    assert parse_size(format_size(value)) == value


@given(st.integers(1, 2**50))
def test_a_rate_comes_back_from_its_text(value):
    assert parse_rate(format_rate(value)) == value


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("5s", 5),
        ("15m", 900),
        ("4h", 14400),
        ("2d", 172800),
        ("1w", 604800),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("0", 0),
        (0, 0),
    ],
)
def test_durations(text, seconds):
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize(
    "text", ["", "5", "s", "5 s", "5x", "-5s", "5s5s", "1e3s", "5m extra", None, True, 3, 3.5, [], "\uff19s", "400000d", "9" * 400 + "d"]
)
def test_no_durations(text):
    with pytest.raises(BadValue) as caught:
        parse_duration(text)
    assert caught.value.hint


@given(st.text())
def test_any_text_is_a_duration_or_told(text):
    for parse in (parse_duration, parse_size, parse_rate):
        with contextlib.suppress(BadValue):  # and nothing else
            parse(text)


def test_sizes_and_rates():
    assert parse_size("50GiB") == 50 * 2**30
    assert parse_size("1.5 TiB") == 3 * 2**39
    assert parse_rate("400MiB/s") == 400 * 2**20


@pytest.mark.parametrize(
    ("text", "hint"), [("50GB", "write 50GiB"), ("50 gib", "write 50GiB"), (50, "write 50B"), ("big", "write a number and a unit")]
)
def test_a_wrong_unit_is_told_the_right_one(text, hint):
    with pytest.raises(BadValue) as caught:
        parse_size(text)
    assert hint in caught.value.hint


def test_a_rate_needs_its_second_and_is_not_zero():
    for text in ("400MiB", "0MiB/s"):
        with pytest.raises(BadValue):
            parse_rate(text)


def test_sizes_for_people():
    assert [human_size(value) for value in (0, 999, 1024, 1536 * 2**20, 5 * 2**50)] == ["0 B", "999 B", "1 KiB", "1.5 GiB", "5 PiB"]
