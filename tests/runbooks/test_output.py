"""What steps print: bounded, hashed as a whole, without secrets; and steps that hang."""

import base64
import hashlib
import json
import os
import time
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.model import SystemClock
from holdfast.runbooks.actions import process
from holdfast.runbooks.actions.contract import Result
from holdfast.runbooks.actions.output import HEAD, TAIL, Capture, kept
from holdfast.runbooks.engine.work import outputs_of
from holdfast.runbooks.outputs import NotThere, differs, read_json, take

SECRET = 'p4ss"w/ord+%'


@given(st.lists(st.integers(1, 30), max_size=12), st.text(max_size=20))
def test_a_secret_is_taken_out_wherever_it_is_cut(cuts, around):
    data = f"{around}{SECRET}{around}".encode()
    capture = Capture([SECRET])
    at = 0
    for cut in cuts:
        capture.feed(data[at : at + cut])
        at += cut
    capture.feed(data[at:])
    found = capture.end()
    assert SECRET not in found.text
    assert found.sha256 == hashlib.sha256(found.text.encode()).hexdigest() or "\ufffd" in found.text
    assert found.size == len(found.text.encode())


@pytest.mark.parametrize("form", [json.dumps(SECRET), quote(SECRET, safe=""), base64.b64encode(SECRET.encode()).decode()])
def test_other_forms_of_a_secret_are_taken_out(form):
    umlauts = 'müß"ig'
    assert "ig" not in kept(json.dumps(umlauts) + json.dumps(umlauts, ensure_ascii=False), [umlauts]).text
    assert form.strip('"') not in kept(f"x {form} y", [SECRET]).text


def test_each_line_of_a_key_is_taken_out():
    key = "-----BEGIN-----\nMIIabcdef\nZZZghijkl\n-----END-----"
    assert "MIIabcdef" not in kept("the second line: MIIabcdef", [key]).text


@settings(max_examples=20)
@given(st.integers(0, 3 * (HEAD + TAIL)))
def test_little_is_kept_of_much_and_all_is_counted(size):
    capture = Capture()
    data = bytes(97 + number % 23 for number in range(size))
    for at in range(0, size, 777):
        capture.feed(data[at : at + 777])
    found = capture.end()
    assert (found.size, found.sha256) == (size, hashlib.sha256(data).hexdigest())
    assert found.cut == max(0, size - HEAD - TAIL)
    assert found.text.encode().startswith(data[: min(size, HEAD)])
    assert len(found.text) < HEAD + TAIL + 100


def run(folder, *argv, timeout=30.0, **more):
    return process.run(argv, environment={"PATH": os.environ["PATH"]}, directory=folder, timeout=timeout, clock=SystemClock(), **more)


def test_much_output_takes_little_memory_and_ends(tmp_path):
    """A gigabyte goes the same way; this much shows that it is not held."""
    size = 64 << 20
    ended = run(tmp_path, "head", "-c", str(size), "/dev/zero")
    assert (ended.code, ended.out.size, ended.text) == (0, size, None)
    assert ended.out.cut == size - HEAD - TAIL
    digest = hashlib.sha256()
    for _ in range(64):
        digest.update(bytes(1 << 20))
    assert ended.out.sha256 == digest.hexdigest()


def test_a_step_that_hangs_is_ended_with_all_that_it_started(tmp_path):
    begun = time.monotonic()
    ended = run(tmp_path, "bash", "-c", "echo $$ > pid; (sleep 600; echo late) & sleep 600", timeout=0.5)
    assert ended.late
    assert time.monotonic() - begun < 250  # not the ten minutes that it would have taken
    group = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)


def test_what_a_step_left_running_does_not_hold_it(tmp_path):
    """A server that a step starts keeps its pipe open for ever."""
    ended = run(tmp_path, "bash", "-c", "echo begun; sleep 600 & echo $!", timeout=60)
    assert (ended.code, ended.late) == (0, False)
    os.kill(int(ended.text.split()[1]), 9)


def test_a_program_that_is_not_there_is_said(tmp_path):
    with pytest.raises(FileNotFoundError):
        run(tmp_path, "no-such-program")


def test_values_are_taken_by_their_path():
    document = {"points": [{"id": "a"}, {"id": "b", "n": 0}], "ok": True}
    assert take("points[1].id", document, None) == "b"
    assert take("points[-1].n", document, None) == 0
    assert take("text", None, " x \n") == "x"
    for path in ("points[2].id", "points.id", "ok.x", "gone"):
        with pytest.raises(NotThere):
            take(path, document, None)


def test_a_check_that_compared_nothing_fails():
    assert differs({"ok": True}, {"ok": True}, None) is None
    assert differs({"ok": True}, {"ok": 1}, None)
    assert differs({"ok": 1}, {"ok": True}, None)
    assert differs({"gone": None}, {}, None)
    assert differs({"a.b": 1}, None, None)


def test_what_no_journal_could_hold_is_no_document():
    assert read_json('{"a": NaN, "b": -Infinity, "c": 1}') == {"a": None, "b": None, "c": 1}
    assert read_json("[" * 100_000) is None
    assert read_json("[" * 100 + "]" * 100) is None
    assert read_json("no json") is None
    spec = {"outputs": {"x": "a"}}
    assert outputs_of(spec, Result("ok", True, "", document={"a": "x" * 1000})) == ({"x": "x" * 1000}, "")
    assert "too many" in outputs_of(spec, Result("ok", True, "", document={"a": "x" * 100_000}))[1]
