import subprocess
import sys

import pytest

from holdfast.connect.secrets import SecretUnavailable, resolve
from holdfast.plan import Address, SecretRef

VALUE = "s3cret-välue"


def test_from_the_environment():
    assert resolve(SecretRef(env="KEY"), environ={"KEY": VALUE}) == VALUE


def test_from_a_file_beside_the_plan_without_its_last_newline(tmp_path):
    (tmp_path / "key").write_text(f" {VALUE} \n")
    assert resolve(SecretRef(file="key"), base=tmp_path) == f" {VALUE} "
    assert resolve(SecretRef(file=str(tmp_path / "key"))) == f" {VALUE} "


def test_from_a_command_without_a_shell(tmp_path):
    (tmp_path / "it's").write_text(VALUE + "\n")
    assert resolve(SecretRef(command=["cat", str(tmp_path / "it's")])) == VALUE
    assert resolve(SecretRef(command="echo '$HOME;' a")) == "$HOME; a"


def test_a_command_gets_no_input():
    assert resolve(SecretRef(command=[sys.executable, "-c", "import sys; print(len(sys.stdin.read()))"])) == "0"


def test_a_literal_address_is_itself():
    assert resolve(Address.model_validate("host=/tmp dbname=x")) == "host=/tmp dbname=x"


def wrong(tmp_path):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff" + VALUE.encode())
    noisy = f"import sys; print({VALUE!r}); print({VALUE!r}, file=sys.stderr); sys.exit(3)"
    return [
        (SecretRef(env="HOLDFAST_TEST_UNSET"), "environment variable HOLDFAST_TEST_UNSET cannot be read: it is not set"),
        (SecretRef(file="none"), "file none cannot be read: No such file"),
        (SecretRef(file="empty"), "file empty cannot be read: it is empty"),
        (SecretRef(file="binary"), "file binary cannot be read: it is not UTF-8 text"),
        (SecretRef(command=[sys.executable, "-c", noisy]), "cannot be read: it ended with status 3"),
        (SecretRef(command="no-such-program-here x"), "command no-such-program-here cannot be read: No such file"),
        (SecretRef(command="echo 'unclosed"), "its quoting is wrong"),
    ]


@pytest.mark.parametrize("number", range(7))
def test_errors_name_the_reference_never_the_value(tmp_path, number):
    reference, expected = wrong(tmp_path)[number]
    with pytest.raises(SecretUnavailable) as caught:
        resolve(reference, base=tmp_path)
    error = caught.value
    assert expected in error.message
    assert error.hint
    assert error.status == 2
    chain = [error, error.__cause__]
    assert VALUE not in "".join(f"{link!r}{getattr(link, 'hint', '')}{getattr(link, 'details', '')}" for link in chain if link)


def test_a_command_that_hangs_is_told():
    def launch(command, limit):
        raise subprocess.TimeoutExpired(command, limit, output=VALUE.encode())

    with pytest.raises(SecretUnavailable) as caught:
        resolve(SecretRef(command="ask-me"), launch=launch)
    assert "did not end within 30 s" in caught.value.message
    assert caught.value.__cause__ is None
