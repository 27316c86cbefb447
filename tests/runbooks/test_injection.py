"""No value can become a program: what cannot be safe is refused when the runbook is compiled, what is inserted stays one value."""

import json
import shlex
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.runbooks.actions.commands import in_words
from holdfast.runbooks.actions.contract import Call
from holdfast.runbooks.actions.registry import ACTIONS
from holdfast.runbooks.errors import ParameterWrong
from holdfast.runbooks.format.compile import examine
from holdfast.runbooks.format.insert import insert, references
from holdfast.runbooks.format.parameters import Parameter, value
from tests.runbooks.kit import Clock, page

EVIL = [
    "; touch PWNED",
    "$(touch PWNED)",
    "`touch PWNED`",
    "' ; touch PWNED ; '",
    '" ; touch PWNED ; "',
    "x\ttouch",
    "${PATH}",
    "%(x)s",
    "a b",
]


def call(folder, values, **more):
    import os

    return Call(values, [], 20, Clock(), ["false"], {"PATH": os.environ["PATH"], **more}, folder, parameters=values)


@pytest.mark.parametrize("evil", EVIL)
def test_a_value_is_one_element_of_an_argv_and_one_variable_of_a_script(tmp_path, evil):
    argv = ["printf", "%s|", "${x}", "--into=${x}"]
    done = ACTIONS["command"].run({"argv": argv}, call(tmp_path, {"x": evil}))
    assert done.text == f"{evil}|--into={evil}|"
    done = ACTIONS["shell"].run({"script": 'printf "%s" "$PARAM_X"'}, call(tmp_path, {"x": evil}))
    assert done.text == evil
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=25, deadline=None)
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40).filter(lambda text: not text.startswith("-")))
def test_any_text_arrives_as_it_is(tmp_path_factory, text):
    done = ACTIONS["command"].run({"argv": ["printf", "%s", "${x}"]}, call(tmp_path_factory.getbasetemp(), {"x": text}))
    assert done.text == text


def test_a_value_is_no_option(tmp_path):
    done = ACTIONS["command"].run({"argv": ["touch", "${x}"]}, call(tmp_path, {"x": "--reference=/etc/passwd"}))
    assert done.outcome == "failed"
    assert "would be read as an option" in done.message
    assert ACTIONS["command"].run({"argv": ["printf", "%s", "${x}"]}, call(tmp_path, {"x": -5})).text == "-5"


@pytest.mark.parametrize(
    "step",
    [
        'command: ["${x}", a]',
        'command: [bash, -c, "echo ${x}"]',
        'command: [sudo, -u, postgres, sh, -ec, "echo ${x}"]',
        'command: [ssh, host, "${x}"]',
        'command: [python3, -c, "print(${x})"]',
        "command: [psql, --command=select ${x}]",
        'command: [bash, "${x}"]',
        'command: [docker, exec, c, sh, -c, "${x}"]',
        'command: [xargs, "${x}"]',
        'command: [sed, "s/a/${x}/"]',
        'command: {argv: [env], env: {PATH: "${x}"}}',
        'shell: {script: env, env: {LD_PRELOAD: "${x}"}}',
        'shell: {script: env, env: {BASH_ENV: "${x}"}}',
        'holdfast: ["${x}"]',
        'sql: {dsn: "dbname=x", query: "select ${x}"}',
        'sql: {dsn: "host=${x}", query: "select 1"}',
        'sql: {dsn: "dbname=x", query: "select %(y)s", parameters: {x: "${x}"}}',
        'http: "http://${x}/"',
        'http: "http://u:p@host/"',
        'http: "file:///etc/passwd"',
        'http: {url: "http://h/", headers: {"a\\nb": x}}',
    ],
)
def test_what_would_be_read_as_a_program_is_refused(step):
    text = page(f"id: a\nrepeatable: true\n{step}", front="parameters: {x: {type: text}}\n")
    _, problems = examine(text, "x.md")
    assert [problem for problem in problems if problem.severity == "error"], step


@pytest.mark.parametrize(
    "step",
    [
        'command: [echo, "${pw}"]',
        'http: "http://host/?t=${pw}"',
        "sql: {dsn: 'x', query: 'select 1', user: '${pw}'}",
        "sql: {dsn: 'postgresql://u:secret@h/d', query: 'select 1'}",
    ],
)
def test_a_secret_is_refused_where_others_could_read_it(step):
    text = page(f"id: a\nrepeatable: true\n{step}", front="parameters: {pw: {type: secret, from: {env: PW}}}\n")
    _, problems = examine(text, "x.md")
    assert [problem for problem in problems if problem.severity == "error"], step


def test_shell_scripts_keep_their_own_references():
    snapshot, problems = examine(page('id: a\nrepeatable: true\nshell: echo "${PARAM_X}" "${HOME}"', front="parameters: {x: {}}\n"), "x.md")
    assert problems == []
    assert snapshot.steps[0]["action"]["spec"]["script"] == 'echo "${PARAM_X}" "${HOME}"'


@given(
    st.recursive(
        st.text(max_size=8) | st.integers() | st.booleans() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
    )
)
def test_json_stays_of_one_shape(inner):
    """Whatever is inserted, the document around it is the same."""
    filled = insert({"a": "${x}", "b": ["c", "${x}"], "d": "e ${x}"}, {"x": inner})
    again = json.loads(json.dumps(filled))
    assert again["a"] == inner
    assert again["b"] == ["c", inner]
    assert isinstance(again["d"], str)


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), min_size=1, max_size=12), min_size=1, max_size=4))
@settings(max_examples=20, deadline=None)
def test_what_paper_says_is_what_the_program_does(words):
    """An argv as it is printed gives a shell the same words again."""
    literal = [word.replace("${", "$${") for word in words]
    printed = in_words(["printf", "%s\\n", *literal, "${x}"], lambda _name: "VALUE")
    done = subprocess.run(["bash", "-c", printed], env={"VALUE": "a  'b"}, capture_output=True, text=True, check=True)
    assert done.stdout == "".join(f"{word}\n" for word in [*words, "a  'b"])
    assert list(references(literal)) == []
    assert shlex.split(printed)[0] == "printf"


@pytest.mark.parametrize(
    ("shape", "given", "wanted"),
    [
        ({"type": "integer", "min": 1, "max": 9}, "5", 5),
        ({"type": "integer"}, "5.0", ParameterWrong),
        ({"type": "integer", "max": 9}, "10", ParameterWrong),
        ({"type": "number"}, "nan", ParameterWrong),
        ({"type": "boolean"}, "yes", True),
        ({"type": "boolean"}, "perhaps", ParameterWrong),
        ({"type": "choice", "of": ["prod", "stage"]}, "stag", ParameterWrong),
        ({"type": "time", "of": ["latest"]}, "latest", "latest"),
        ({"type": "time"}, "10m ago", "2026-11-21T09:50:00+00:00"),
        ({"type": "time"}, "soon", ParameterWrong),
        ({"type": "duration"}, "5m", "5m"),
        ({"type": "size"}, "5 Bananas", ParameterWrong),
        ({"type": "path"}, "-rf", ParameterWrong),
        ({"type": "name"}, "a;b", ParameterWrong),
        ({"type": "url"}, "nothing", ParameterWrong),
        ({"type": "text"}, "two\nlines", ParameterWrong),
        ({"type": "text", "pattern": "[A-Z]+"}, "ABCd", ParameterWrong),
        ({"type": "text"}, "x" * 5000, ParameterWrong),
    ],
)
def test_parameters_are_of_their_type(shape, given, wanted):
    parameter = Parameter.model_validate(shape)
    if wanted is ParameterWrong:
        with pytest.raises(ParameterWrong):
            value("p", parameter, given, now=Clock().now())
    else:
        assert value("p", parameter, given, now=Clock().now()) == wanted
