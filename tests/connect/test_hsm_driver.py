"""Without the driver of security modules each use says what to install."""

import sys

import pytest

from holdfast.connect.hsm import Hsm
from holdfast.errors import MissingExtra


@pytest.mark.parametrize("use", [lambda hsm: hsm.generate(), lambda hsm: hsm.wrap(b"k", b""), lambda hsm: hsm.unwrap(b"w" * 60, b"")])
def test_the_extra_is_named(use, monkeypatch):
    monkeypatch.setitem(sys.modules, "pkcs11", None)
    with pytest.raises(MissingExtra) as caught:
        use(Hsm("/usr/lib/module.so", "backup", "holdfast", lambda: "1234"))
    assert "holdfast[hsm]" in caught.value.hint
