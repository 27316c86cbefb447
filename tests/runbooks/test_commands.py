"""The commands as people and scripts run them."""

import os

from tests.cli.running import answer, holdfast, with_plan
from tests.runbooks.kit import page

GOOD = page(
    """
    id: make
    shell: {script: 'mkdir "$PARAM_TARGET"; env; echo "it is $TOKEN"', env: {TOKEN: "${token}"}}
    probe: {command: [test, -d, "${target}"]}
    undo: {command: [rmdir, "${target}"]}
    """,
    "id: tell\nkind: human\ndo: Tell them about ${target}.",
    name="good",
    front="systems: [orders-db]\nparameters:\n  target: {type: path}\n  token: {type: secret, from: {env: THE_TOKEN}}\n",
)


def folder(tmp_path):
    with_plan(tmp_path)
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "good.md").write_text(GOOD)
    return tmp_path


def test_plain_mode_from_lint_to_history(tmp_path):
    home = folder(tmp_path)
    token, key = "s3cret-token-text", "the-vaults-own-key"
    env = {"THE_TOKEN": token, "HOLDFAST_KEY": key, "ORDERS_DSN": "postgresql://u:dsn-pass-word@h/d"}
    listed = answer(holdfast(home, "runbook", "list", "--json"))
    assert [each["name"] for each in listed["runbooks"]] == ["good"]
    assert listed["uncovered"] == ["audit-db"]
    linted = holdfast(home, "runbook", "lint")
    assert linted.returncode == 0
    assert "system audit-db has no runbook" in linted.stdout
    assert holdfast(home, "runbook", "lint", "--strict").returncode == 2
    missing = holdfast(home, "runbook", "run", "good", "--json", **env)
    assert answer(missing)["error"]["details"]["missing"] == ["target"]
    rehearsed = holdfast(home, "runbook", "run", "good", "--param", "target=./made", "--dry-run")
    assert 'export TOKEN="${PARAM_TOKEN}"' in rehearsed.stdout
    assert "test -d ./made" in rehearsed.stdout
    assert not (home / "made").exists()
    ran = holdfast(home, "runbook", "run", "good", "--param", "target=./made", "--json", **env)
    assert (ran.returncode, answer(ran)["status"]) == (1, "waiting")
    run = answer(ran)["run"]
    assert answer(ran)["waiting_for"] == {
        "step": "tell",
        "what": "confirm",
        "text": "Tell them about ./made.",
        "missing": [],
        "expires": None,
    }
    shown = answer(holdfast(home, "jobs", "--all", "--json"))
    assert [job["verb"] for job in shown["jobs"]] == ["runbook"]
    aborted = holdfast(home, "runbook", "abort", run[:8], "--reason", "only a test", "--json", **env)
    assert (aborted.returncode, answer(aborted)["outcome"]) == (0, "aborted")
    assert not (home / "made").exists()
    history = holdfast(home, "runbook", "history", run)
    assert "it is [secret]" in history.stdout
    everything = ran.stdout + ran.stderr + history.stdout + aborted.stderr
    for path in (home / "state").rglob("*"):
        everything += path.read_bytes().decode(errors="replace") if path.is_file() else ""
    for secret in (token, key, "dsn-pass-word"):
        assert secret not in everything
    assert "THE_TOKEN" in everything
    whole = answer(holdfast(home, "log", "--json"))
    assert whole["whole"]
    assert [entry["kind"] for entry in whole["entries"]][-1] == "runbook.ended"


def test_lint_knows_the_commands_of_holdfast(tmp_path):
    home = folder(tmp_path)
    text = page(
        "id: a\nholdfast: [restor, x]",
        "id: b\nholdfast: [restore, x, --intoo, /y]\nrepeatable: true",
        name="bad",
        front="systems: [orders-bd]\n",
    )
    (home / "runbooks" / "bad.md").write_text(text)
    done = holdfast(home, "runbook", "lint")
    assert done.returncode == 2
    assert "holdfast has no command 'restor' in this version; did you mean 'restore'?" in done.stdout
    assert "holdfast restore has no option --intoo; did you mean --into?" in done.stdout
    assert "the plan has no system 'orders-bd'; did you mean 'orders-db'?" in done.stdout


def test_what_is_needed_is_looked_at_first(tmp_path):
    needs = "needs: {tools: [no-such-tool, bash], access: [{text: the server, check: {command: ['false']}}, a chair]}\n"
    (tmp_path / "r.md").write_text(page("id: a\nshell: touch happened\nrepeatable: true", front=needs))
    done = holdfast(tmp_path, "runbook", "run", "./r.md", "--json")
    assert done.returncode == 4
    assert answer(done)["error"]["details"]["lacking"] == ["no-such-tool", "the server"]
    assert not (tmp_path / "happened").exists()
    assert answer(holdfast(tmp_path, "runbook", "history", "--json"))["runs"] == []


def test_new_show_and_a_name_that_is_nearly_right(tmp_path):
    done = holdfast(tmp_path, "runbook", "new", "restore-orders", "--system", "orders")
    assert done.returncode == 0
    assert holdfast(tmp_path, "runbook", "new", "restore-orders").returncode == 4
    assert holdfast(tmp_path, "runbook", "new", "../evil").returncode == 2
    paper = holdfast(tmp_path, "runbook", "show", "restore-orders", "--print")
    assert "☐ Step 8" in paper.stdout
    wrong = holdfast(tmp_path, "runbook", "show", "restore-order")
    assert "Did you mean 'restore-orders'?" in wrong.stderr
    assert holdfast(tmp_path, "runbook", "lint", "--strict").returncode == 0


def test_a_secret_is_not_given_by_value(tmp_path):
    (tmp_path / "r.md").write_text(
        page("id: a\nshell: {script: 'true', env: {T: '${t}'}}\nrepeatable: true", front="parameters: {t: {type: secret}}\n")
    )
    done = holdfast(tmp_path, "runbook", "run", "./r.md", "--param", "t=hunter22")
    assert done.returncode == 2
    assert "hunter22" not in done.stdout + done.stderr
    assert holdfast(tmp_path, "runbook", "run", "./r.md", "--param", "t=env:PLACE", PLACE="hunter22").returncode == 0
    failed = holdfast(tmp_path, "runbook", "run", "./r.md", "--param", "t=env:NOWHERE")
    assert failed.returncode == 1
    assert "environment variable NOWHERE" in failed.stderr


def test_a_conversation_at_a_terminal(tmp_path):
    """Parameters and answers are asked for, wrong ones again."""
    import subprocess

    from tests.cli.running import PROGRAM, environment

    text = page(
        "id: way\nkind: decision\nask: which\nchoose: {one: a, two: b}",
        "id: do\nkind: human\ndo: this to ${target}",
        front="parameters: {target: {type: path, ask: Where}}\n",
    )
    (tmp_path / "r.md").write_text(text)
    ours, theirs = os.openpty()
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(
            [*PROGRAM, "runbook", "run", "./r.md"], cwd=tmp_path, env=environment(tmp_path), stdin=theirs, stdout=said, stderr=said
        )
    os.close(theirs)
    os.write(ours, b"/somewhere\nthree\none because\nwhat\ndone I did it\n")
    try:
        assert process.wait(120) == 0
    finally:
        process.kill()
        os.close(ours)
    shown = (tmp_path / "said").read_text()
    assert "'three' is no choice of way" in shown
    assert "this to /somewhere" in shown
    assert "type 'done' when it is done" in shown
    assert (
        "I did it"
        in holdfast(tmp_path, "runbook", "history", answer(holdfast(tmp_path, "runbook", "history", "--json"))["runs"][0]["run"]).stdout
    )


def test_a_second_run_of_it_skip_and_approve_that_drives_on(tmp_path):
    text = page(
        "id: odd\nshell: printf '\\033]0;title\\007hello'; exit 3\nrepeatable: true",
        "id: go\nkind: approval\nask: may I\nby: chief\nbreak_glass: chief",
        "id: act\nshell: touch acted\nrepeatable: true",
        front="roles: {chief: []}\n",
    )
    (tmp_path / "r.md").write_text(text)
    ran = holdfast(tmp_path, "runbook", "run", "./r.md", "--as", "anna")
    assert ran.returncode == 1
    assert "\x1b" not in ran.stderr
    assert "hello" in ran.stderr
    again = holdfast(tmp_path, "runbook", "run", "./r.md", "--json")
    assert (again.returncode, answer(again)["error"]["code"]) == (4, "runbook-run-active")
    run = answer(again)["error"]["details"]["run"]
    assert holdfast(tmp_path, "runbook", "skip", run, "odd", "--reason", "it is odd").returncode == 0
    assert answer(holdfast(tmp_path, "runbook", "resume", run, "--as", "anna", "--json"))["waiting_for"]["what"] == "approve"
    refused = holdfast(tmp_path, "runbook", "approve", run, "go", "--as", "dora")
    assert refused.returncode == 4  # another name, the same account
    assert "asked for this (the account" in refused.stderr
    words = ["--as", "anna", "--break-glass", "--note", "all asleep", "--resume", "--json"]
    done = holdfast(tmp_path, "runbook", "approve", run, "go", *words)
    assert (done.returncode, answer(done)["outcome"]) == (0, "done")
    assert (tmp_path / "acted").exists()
    assert "GLASS BROKEN by anna: all asleep" in holdfast(tmp_path, "runbook", "history", run).stdout
    assert holdfast(tmp_path, "runbook", "resume", run).returncode == 0
    late = holdfast(tmp_path, "runbook", "abort", run, "--reason", "late")
    assert (late.returncode, "has ended: done" in late.stderr) == (4, True)


def test_an_answer_from_elsewhere_goes_on_at_the_terminal(tmp_path):
    """The terminal asks to confirm; somebody else does, and nobody touches the keyboard."""
    import subprocess

    from tests.cli.running import PROGRAM, environment

    (tmp_path / "r.md").write_text(page("id: do\nkind: human\ndo: this", "id: act\nshell: touch acted\nrepeatable: true"))
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [*PROGRAM, "runbook", "run", "./r.md"],
        cwd=tmp_path,
        env=environment(tmp_path),
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs)
    try:
        runs = []
        while not runs or not runs[0]["waiting"]:
            assert process.poll() is None
            runs = answer(holdfast(tmp_path, "runbook", "history", "--json"))["runs"]
        assert holdfast(tmp_path, "runbook", "resume", runs[0]["run"]).returncode == 4
        assert holdfast(tmp_path, "runbook", "approve", runs[0]["run"], "do").returncode == 0
        assert process.wait(120) == 0
    finally:
        process.kill()
        os.close(ours)
    assert (tmp_path / "acted").exists()


def test_what_looks_like_a_reference_in_a_script_is_the_shells_own(tmp_path):
    step = """
        id: a
        shell: 'word=x; touch "${word}${NOTHING:-yz}"'
        probe: {shell: 'test -e "${HERE:-xyz}"'}
        undo: {shell: 'rm "${HERE:-xyz}"'}
    """
    (tmp_path / "r.md").write_text(page(step, "id: h\nkind: human\ndo: this"))
    waiting = answer(holdfast(tmp_path, "runbook", "run", "./r.md", "--json"))
    assert waiting["waiting_for"]["step"] == "h", waiting
    assert (tmp_path / "xyz").exists()
    assert answer(holdfast(tmp_path, "runbook", "abort", waiting["run"], "--reason", "no", "--json"))["outcome"] == "aborted"
    assert not (tmp_path / "xyz").exists()
