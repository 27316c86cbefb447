"""Keys that people copy by hand: ``hf1-`` (recovery) and ``hff1-`` (file), 13 groups of 4 Crockford base-32 digits and 4 check digits."""

import blake3

from holdfast.vault.errors import WrongKey
from holdfast.vault.format import crypto

RECOVERY = "hf1-"
FILE = "hff1-"
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUE = {digit: i for i, digit in enumerate(_DIGITS)} | {"O": 0, "I": 1, "L": 1}
_KEY_DIGITS = 52
_CHECK_DIGITS = 4


def kind_of(secret: str) -> str:
    """The kind of slot that a secret is for: "recovery", "file" or "passphrase"."""
    text = secret.strip().lower()
    if text.startswith(RECOVERY):
        return "recovery"
    return "file" if text.startswith(FILE) else "passphrase"


def to_text(key: bytes, prefix: str = RECOVERY) -> str:
    """32 bytes as text that survives being read out and typed in."""
    number = int.from_bytes(key, "big") << 4
    digits = "".join(_DIGITS[(number >> shift) & 31] for shift in range(5 * (_KEY_DIGITS - 1), -1, -5)) + _check(key)
    return prefix + "-".join(digits[i : i + 4] for i in range(0, len(digits), 4))


def fresh(kind: str, random: crypto.Random = crypto.SYSTEM_RANDOM) -> str:
    """A new key of 256 random bits as text: "recovery" or "file"."""
    return to_text(random(32), RECOVERY if kind == "recovery" else FILE)


def from_text(text: str) -> bytes:
    """The 32 bytes; case, spaces and hyphens do not matter, O is 0, I and L are 1. Raises WrongKey when it was copied wrongly."""
    prefix = FILE if text.strip().lower().startswith(FILE) else RECOVERY
    digits = text.strip()[len(prefix) :].upper().replace("-", "").replace(" ", "")
    wrong = sorted({digit for digit in digits if digit not in _VALUE})
    if wrong:
        raise WrongKey(f"A key never contains {', '.join(wrong)}.", hint="Copy the key again, letter by letter.")
    expected = _KEY_DIGITS + _CHECK_DIGITS
    if len(digits) != expected:
        raise WrongKey(
            f"The key has {len(digits)} digits after '{prefix}'; it should have {expected}.", hint="Copy the whole key: 14 groups of 4."
        )
    number = 0
    for digit in digits[:_KEY_DIGITS]:
        number = number << 5 | _VALUE[digit]
    key = (number >> 4).to_bytes(32, "big")
    check = "".join(_DIGITS[_VALUE[digit]] for digit in digits[_KEY_DIGITS:])
    if number & 15 or check != _check(key):
        raise WrongKey("The key's check digits do not fit: it was copied wrongly.", hint="Compare it with the paper, group by group.")
    return key


def _check(key: bytes) -> str:
    bits = int.from_bytes(blake3.blake3(key).digest()[:3], "big") >> 4
    return "".join(_DIGITS[(bits >> shift) & 31] for shift in (15, 10, 5, 0))
