"""What holds for every command: one document with --json, one message with a hint and a code, the exit status of its family."""

import json
import os
import signal
import subprocess

import pytest

from holdfast.errors import Damaged, FoundWrong, HoldfastError, Refused, Unreachable, Usage
from holdfast.interfaces.cli import app, failures
from holdfast.interfaces.cli.grammar import loading
from holdfast.interfaces.cli.registry import COMMANDS, Entry
from tests.cli.running import PROGRAM, answer, environment, holdfast, with_plan
from tests.plan.writing import changed


@pytest.fixture
def command(monkeypatch, tmp_path):
    """Puts a function in the place of ``holdfast status`` and runs a command line."""
    monkeypatch.chdir(tmp_path)

    def run(function, *words):
        monkeypatch.setattr(app, "load", lambda _path, _entry: function)
        return app.run(["status", *words])

    return run


def raising(error):
    def function(session):
        """Fails."""
        raise error

    return function


@pytest.mark.parametrize(("family", "status"), [(FoundWrong, 1), (Usage, 2), (Unreachable, 3), (Refused, 4), (Damaged, 5)])
def test_an_error_is_told_once_with_its_hint_code_and_status(command, capsys, family, status):
    assert command(raising(family("The tap is dry.", hint="Open it.", tap=7))) == status
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"error[{family.code}]: The tap is dry.\n  hint: Open it.\n")
    assert command(raising(family("The tap is dry.", hint="Open it.", tap=7)), "--json") == status
    said = capsys.readouterr()
    assert json.loads(said.out) == {"error": {"code": family.code, "message": "The tap is dry.", "hint": "Open it.", "details": {"tap": 7}}}
    assert said.err == ""


def test_an_unexpected_failure_is_a_bug_without_traceback_unless_asked(command, capsys):
    assert command(raising(KeyError("x"))) == failures.BUG == 70
    said = capsys.readouterr()
    assert "This is a bug in Holdfast: KeyError: 'x'" in said.err
    assert "--debug" in said.err
    assert "Traceback" not in said.err
    assert command(raising(KeyError("x")), "--debug", "--json") == 70
    said = capsys.readouterr()
    assert "Traceback" in said.err
    assert json.loads(said.out)["error"]["code"] == "bug"


def test_a_failure_after_the_document_leaves_one_document(command, capsys):
    def function(session):
        """Answers, then fails."""
        session.out.result({"a": 1})
        raise FoundWrong("Too late.")

    assert command(function, "--json") == 1
    said = capsys.readouterr()
    assert json.loads(said.out) == {"a": 1}
    assert json.loads(said.err)["error"]["message"] == "Too late."


def test_two_documents_are_a_bug(command, capsys):
    def function(session):
        """Answers twice."""
        session.out.result({})
        session.out.result({})

    assert command(function, "--json") == 70


def test_prose_and_progress_leave_stdout_to_the_document(command, capsys):
    def function(session):
        """Talks."""
        session.out.say("prose")
        session.out.table(["a"], [["b"]])
        with session.progress() as progress:
            progress.phase("reading", 10)
            progress.advance(10)
            progress.note("found something")
        session.out.result({"done": True}, lambda: session.out.say("not this"))

    assert command(function, "--json") == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {"done": True}
    for words in ("prose", "reading: 10 B …", "found something", "reading: done, 10 B in"):
        assert words in said.err
    assert "not this" not in said.err


def test_the_common_options_stand_anywhere(command, capsys, tmp_path):
    with_plan(tmp_path, "vars: {p: x}\n" + changed("platform: shop", "platform: ${p}"))
    (tmp_path / "holdfast.yaml").rename(tmp_path / "other.yaml")

    def function(session):
        """Names the platform."""
        session.out.result(session.plan.platform)

    assert command(function, "--json", "--plan=other.yaml", "--set", "p=y") == 0
    assert json.loads(capsys.readouterr().out) == "y"
    assert app.run(["--plan", "other.yaml", "--json", "status"]) == 0
    assert json.loads(capsys.readouterr().out) == "x"
    assert app.run(["status", "--plan"]) == 2
    assert "--plan needs a value" in capsys.readouterr().err


def test_the_plan_may_be_named_by_the_environment(tmp_path):
    with_plan(tmp_path)
    (tmp_path / "holdfast.yaml").rename(tmp_path / "elsewhere.yaml")
    assert holdfast(tmp_path, "plan", "lint", HOLDFAST_PLAN="elsewhere.yaml").returncode == 0


@pytest.mark.parametrize(
    ("words", "said", "hint"),
    [
        (["paln"], "holdfast has no command 'paln'", "Did you mean 'plan'?"),
        (["plan", "lnt"], "holdfast plan has no command 'lnt'", "Did you mean 'lint'?"),
        (["plan"], "holdfast plan needs a further word", "holdfast plan --help"),
        (["plan", "lint", "--strct"], "unrecognized arguments: --strct", "Did you mean --strict?"),
        (["plan", "diff"], "the following arguments are required: OLD", "holdfast plan diff --help"),
        (["--jsn"], "holdfast has no option '--jsn'", "holdfast --help"),
        (["serve"], "'holdfast serve' is not there yet", "holdfast --help"),
    ],
)
def test_wrong_words_suggest_the_right_one(capsys, words, said, hint):
    assert app.run(words) == 2
    error = capsys.readouterr().err
    assert said in error
    assert hint in error


def test_help_names_every_command_and_every_command_has_help(capsys):
    assert app.run([]) == 0
    overview = capsys.readouterr().out
    for name, entry in COMMANDS.items():
        assert f"\n  {name} " in overview
        if isinstance(entry, Entry) and entry.module != "wal" and loading.there(entry):
            assert app.run([name, "--help"]) == 0
            text = capsys.readouterr().out
            assert text.startswith(f"usage: holdfast {name}")
            assert "--json" in text


def test_a_missing_module_inside_a_command_is_no_missing_command(monkeypatch):
    def broken(_name):
        raise ModuleNotFoundError("No module named 'psycopg'", name="psycopg")

    monkeypatch.setattr(loading.importlib, "import_module", broken)
    with pytest.raises(ModuleNotFoundError):
        loading.load(["status"], Entry("status", ""))


def test_version(capsys):
    assert app.run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("holdfast ")


SLEEPER = """
import sys, time
from holdfast.interfaces.cli import app
def command(session):
    '''Sleeps.'''
    session.kept = 'Half of it is kept.'
    print('ready', file=sys.stderr, flush=True)
    time.sleep(60)
app.load = lambda path, entry: command
sys.exit(app.run(['status', *sys.argv[1:]]))
"""


@pytest.mark.parametrize(("number", "status", "name"), [(signal.SIGINT, 130, "Ctrl-C"), (signal.SIGTERM, 143, "SIGTERM")])
@pytest.mark.parametrize("as_json", [False, True])
def test_being_stopped_says_what_is_kept(tmp_path, number, status, name, as_json):
    process = subprocess.Popen(
        [PROGRAM[0], "-c", SLEEPER, *(["--json"] if as_json else [])],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr.readline() == "ready\n"
    process.send_signal(number)
    out, err = process.communicate(timeout=250)
    assert process.returncode == status
    if as_json:
        assert json.loads(out)["error"] == {
            "code": "stopped",
            "message": f"Stopped by {name}.",
            "hint": "Half of it is kept.",
            "details": {},
        }
    else:
        assert err == f"stopped: Stopped by {name}.\n  hint: Half of it is kept.\n"
    assert "Traceback" not in err


def test_a_reader_that_leaves_is_no_failure(tmp_path):
    with_plan(tmp_path)
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.Popen(
        [*PROGRAM, "plan", "show"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdin=subprocess.DEVNULL,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writing)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (141, "")


def test_starting_imports_nothing_heavy(tmp_path):
    watch = (
        "import sys; from holdfast.interfaces.cli.main import main; status = main(sys.argv[1:]);"
        "print(sorted(sys.modules), file=sys.stderr); sys.exit(0 if sys.argv[1] == 'wal' else status)"
    )
    for words, heavy in (
        (["wal", "push"], {"argparse", "typing", "pydantic", "yaml", "rich", "inspect", "logging", "asyncio", "json"}),
        (["--help"], {"pydantic", "yaml", "rich", "psycopg", "numpy", "cryptography"}),
        (["plan", "lint"], {"rich", "psycopg", "numpy", "cryptography", "boto3", "jinja2"}),
    ):
        with_plan(tmp_path)
        done = subprocess.run(
            [PROGRAM[0], "-c", watch, *words],
            cwd=tmp_path,
            env=environment(tmp_path),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert heavy.isdisjoint(eval(done.stderr.splitlines()[-1])), words


def test_opening_a_vault_imports_no_formats_of_keys():
    """RSA, elliptic curves, SSH and their files: nothing of that is in a vault, and every short command would load it."""
    words = [PROGRAM[0], "-c", "import sys, holdfast.vault.vault; print(sorted(sys.modules))"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert {"cryptography.hazmat.primitives.serialization", "importlib.metadata", "numpy", "boto3"}.isdisjoint(eval(done.stdout))


def test_starting_is_quick(tmp_path):
    """Very loosely, and by processor time: a slow or busy machine must not fail it, an accidental import of everything must."""
    before = os.times()
    subprocess.run([*PROGRAM, "--help"], env=environment(tmp_path), stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 5


def test_every_error_of_the_program_is_in_the_reference():
    from holdfast.interfaces.cli.grammar.reference import commands, errors, everywhere

    found = errors()
    assert {"plan-invalid", "secret-unavailable", "wrong-usage", "not-confirmed"} <= {kind.code for kind in found}
    assert all(kind.meaning for kind in found)
    assert {command.path for command in commands()} >= {"init", "plan lint", "plan show", "plan diff", "plan assess"}
    assert {"--json", "--plan FILE"} <= {parameter.name for parameter in everywhere()}


def test_a_code_has_one_exit_status():
    from holdfast.interfaces.cli.grammar.reference import errors

    seen = {}
    for kind in errors():
        assert seen.setdefault(kind.code, kind.status) == kind.status, kind.code
    assert issubclass(loading.NotThereYet, HoldfastError)


def test_lint_json_of_a_wrong_plan_is_an_answer_not_an_error(tmp_path):
    done = holdfast(with_plan(tmp_path, changed("rto: 15m", "rto: soon")), "plan", "lint", "--json")
    assert done.returncode == 2
    assert answer(done)["ok"] is False
    assert answer(done)["problems"][0]["line"] == 10
