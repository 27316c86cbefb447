"""Keys in a security module, on a real one (SoftHSM2), in processes of their own: its library reads its configuration only once."""

import json
import subprocess
import sys

import pytest

from tests.servers import need
from tests.servers.softhsm import SoftHsm

HEAD = """
import json, sys
from holdfast.connect.hsm import Hsm
from holdfast.errors import HoldfastError
library = sys.argv[1]
def hsm(token="backup", key="holdfast", pin="hen house"):
    return Hsm(library, token, key, lambda: pin)
def told(act):
    try:
        act()
    except HoldfastError as error:
        assert "hen house" not in str(error) + error.hint + repr(error.details)
        return [error.code, error.status]
    return None
"""


@pytest.fixture(scope="module")
def module(tmp_path_factory):
    with need():
        made = SoftHsm(tmp_path_factory.mktemp("hsm"))
    made.token("backup")
    made.token("other")
    return made


def run(module, text):
    done = subprocess.run(
        [sys.executable, "-c", HEAD + text, module.library],
        env=module.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_key_is_made_in_the_module_wraps_and_unwraps_and_never_leaves(module):
    told = run(
        module,
        """
hsm().generate()
hsm(token="other").generate()
wrapped = hsm().wrap(b"k" * 32, b"ad")
import pkcs11
token = pkcs11.lib(library).get_token(token_label="backup")
with token.open(user_pin="hen house") as session:
    key = session.get_key(label="holdfast")
    sensitive = [key[pkcs11.Attribute.SENSITIVE], key[pkcs11.Attribute.EXTRACTABLE]]
print(json.dumps({
    "again": told(hsm().generate),
    "back": hsm().unwrap(wrapped, b"ad") == b"k" * 32,
    "plain": b"k" * 8 in wrapped,
    "other ad": hsm().unwrap(wrapped, b"AD"),
    "other key": hsm(token="other").unwrap(wrapped, b"ad"),
    "flipped": hsm().unwrap(wrapped[:-1] + bytes([wrapped[-1] ^ 1]), b"ad"),
    "cut": hsm().unwrap(wrapped[:20], b"ad"),
    "sensitive": sensitive,
    "names": hsm().names,
}))
""",
    )
    assert told == {
        "again": ["hsm-key-missing", 2],
        "back": True,
        "plain": False,
        "other ad": None,
        "other key": None,
        "flipped": None,
        "cut": None,
        "sensitive": [True, False],
        "names": {"token": "backup", "key": "holdfast"},
    }


def test_each_thing_that_is_missing_has_its_own_word(module):
    told = run(
        module,
        """
broken = Hsm("/nowhere/lib.so", "backup", "holdfast", lambda: "hen house")
print(json.dumps({
    "library": told(lambda: broken.wrap(b"", b"")),
    "token": told(lambda: hsm(token="none").wrap(b"", b"")),
    "pin": told(lambda: hsm(pin="no such pin").wrap(b"", b"")),
    "key": told(lambda: hsm(key="none").wrap(b"", b"")),
}))
""",
    )
    assert told == {
        "library": ["hsm-unreachable", 3],
        "token": ["hsm-unreachable", 3],
        "pin": ["hsm-denied", 2],
        "key": ["hsm-key-missing", 2],
    }


VAULT = """
from pathlib import Path
from holdfast.model import SystemClock
from holdfast.storage.local import LocalStorage
from holdfast.vault import Vault
from holdfast.vault.keys.keyring import Keyring
from tests.vault.kit import CHEAP, SECRET, capture, restore
folder = Path(sys.argv[2])
clock = SystemClock()
store = lambda: [LocalStorage(str(folder / "vault"), create=True)]
def opened(secret):
    return Vault.open(store(), secret, clock=clock, cache=folder / "cache")
def keys(vault):
    return Keyring(vault.locations, vault.notary, CHEAP, opened_by=vault.opened_by)
"""


def test_a_vault_is_opened_by_the_module_and_follows_rotations(module, tmp_path):
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            HEAD
            + VAULT
            + """
Vault.create(store(), SECRET, clock=clock, cache=folder / "cache", cost=CHEAP)
here, there = hsm(key="vault"), hsm(token="other", key="vault")
here.generate(); there.generate()
ring = keys(opened(SECRET))
slot = ring.add(here, label="hsm", now=clock.now())
point = capture(opened(here), {"a": b"a" * 9000})
ring.rotate()
after = capture(opened(here), {"a": b"b" * 9000})
stored = (folder / "vault/keys/slots" / slot.id).read_text()
closed = told(lambda: opened(there))
keys(opened(here)).remove(next(one.id for one in ring.list() if one.kind == "passphrase"))  # the module's key was proved when it was made
print(json.dumps({
    "kind": slot.kind,
    "hint": json.loads(stored)["kdf"]["key"],
    "restored": restore(opened(here).point(after.id)) == {"a": b"b" * 9000},
    "closed": closed,
    "pin": told(lambda: opened(hsm(key="vault", pin="0000"))),
    "passphrase": told(lambda: opened(SECRET)),
    "pin stored": '"hen house"' in stored,
}))
""",
            module.library,
            str(tmp_path),
        ],
        env=module.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "kind": "kms",
        "hint": {"token": "backup", "key": "vault"},
        "restored": True,
        "closed": ["vault-wrong-key", 2],
        "pin": ["hsm-denied", 2],
        "passphrase": ["vault-wrong-key", 2],
        "pin stored": False,
    }


def test_the_plan_names_the_module_and_the_pin_by_reference(module, tmp_path):
    from holdfast.plan import load

    (tmp_path / "holdfast.yaml").write_text(
        "platform: p\nvault:\n"
        f"  key: {{kms: {{pkcs11: {module.library}, token: backup, key: plan, pin: {{file: pin}}}}}}\n"
        f"  locations: [{{name: a, url: 'file://{tmp_path}/vault'}}]\nsystems: {{}}\n"
    )
    (tmp_path / "pin").write_text("hen house\n")
    assert str(load(tmp_path / "holdfast.yaml").document.vault.key) == "key plan on the token backup"
    holdfast = [sys.executable, "-c", "import sys; from holdfast.interfaces.cli.main import main; sys.exit(main())"]
    environment = {**module.environment, "HOLDFAST_STATE": str(tmp_path / "state"), "HOLDFAST_CACHE": str(tmp_path / "cache")}

    def holdfast_run(*words):
        return subprocess.run(
            [*holdfast, "--json", *words], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=120
        )

    run(module, "hsm(key='plan').generate(); print('null')")
    made = holdfast_run("init", "--yes")
    assert made.returncode == 0, made.stderr
    listed = holdfast_run("vault", "key", "list")
    assert listed.returncode == 0, listed.stderr
    assert [one["kind"] for one in json.loads(listed.stdout)["slots"] if one["proved"]] == ["kms"]
    (tmp_path / "pin").write_text("no such pin\n")
    wrong = holdfast_run("vault", "key", "list")
    assert wrong.returncode == 2
    assert "no such pin" not in wrong.stdout + wrong.stderr
