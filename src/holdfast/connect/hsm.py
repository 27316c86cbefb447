"""A key in a hardware security module, by PKCS#11 (OASIS, version 2.40): AES-256-GCM with a secret key that never leaves the device.

Wrapped: nonce 12 ‖ ciphertext with its tag. Every call logs in and out again, so that nothing stays open between two of them.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import MissingExtra, Unreachable, Usage

_NONCE, _TAG_BITS = 12, 128


class HsmUnreachable(Unreachable):
    """The module cannot be loaded, the token is not there, or the device failed."""

    code = "hsm-unreachable"


class HsmDenied(Usage):
    """The device refused the PIN, or what was asked of the key."""

    code = "hsm-denied"


class HsmKeyMissing(Usage):
    """The token holds no such key, or several."""

    code = "hsm-key-missing"


@dataclass(frozen=True)
class Hsm:
    """``module``: the path of the device's PKCS#11 library. ``token`` and ``key`` are labels. ``pin`` is asked for when it is needed.

    Satisfies ``vault.keys.kms.Kms``. Raises MissingExtra, HsmUnreachable, HsmDenied, HsmKeyMissing.
    """

    module: str
    token: str
    key: str
    pin: Callable[[], str] = field(repr=False)
    random: Callable[[int], bytes] = field(default=os.urandom, repr=False)
    provider: str = "pkcs11"

    @property
    def names(self) -> Mapping[str, str]:
        """Where to look for the key; the module's path belongs to one machine, and is not among them."""
        return {"token": self.token, "key": self.key}

    def wrap(self, key: bytes, ad: bytes) -> bytes:
        nonce = self.random(_NONCE)
        with self._session() as session:
            held = self._key(session)
            with self._asking("encrypt"):
                return nonce + bytes(held.encrypt(key, mechanism=_gcm(), mechanism_param=_params(nonce, ad)))

    def unwrap(self, wrapped: bytes, ad: bytes) -> bytes | None:
        with self._session() as session:
            from pkcs11 import exceptions

            held = self._key(session)
            try:
                return bytes(held.decrypt(wrapped[_NONCE:], mechanism=_gcm(), mechanism_param=_params(wrapped[:_NONCE], ad)))
            except (exceptions.EncryptedDataInvalid, exceptions.EncryptedDataLenRange, exceptions.GeneralError, exceptions.FunctionFailed):
                pass  # what devices answer when a tag does not fit, and some also when they are broken
            except exceptions.PKCS11Error as error:
                raise self._failed("decrypt", error) from error
            with self._asking("encrypt and decrypt"):
                nonce = self.random(_NONCE)
                trial = held.encrypt(b"holdfast", mechanism=_gcm(), mechanism_param=_params(nonce, b""))
                if bytes(held.decrypt(trial, mechanism=_gcm(), mechanism_param=_params(nonce, b""))) != b"holdfast":
                    raise HsmUnreachable(f"The key {self.key!r} on the token {self.token!r} gives back other bytes than it was given.")
            return None

    def generate(self) -> None:
        """Make the key on the device: AES-256, not extractable. Raises HsmKeyMissing when one of that label is there already."""
        with self._session(rw=True) as session:
            import pkcs11

            alike = {pkcs11.Attribute.LABEL: self.key, pkcs11.Attribute.CLASS: pkcs11.ObjectClass.SECRET_KEY}
            if any(True for _ in session.get_objects(alike)):
                raise HsmKeyMissing(
                    f"The token {self.token!r} holds a key {self.key!r} already.", hint="Use it, or choose another label for a new one."
                )
            with self._asking("make a key"):
                template = {pkcs11.Attribute.SENSITIVE: True, pkcs11.Attribute.EXTRACTABLE: False}
                session.generate_key(pkcs11.KeyType.AES, 256, label=self.key, store=True, template=template)

    @contextlib.contextmanager
    def _session(self, *, rw: bool = False) -> Iterator[Any]:
        try:
            import pkcs11
            from pkcs11 import exceptions
        except ImportError:
            raise MissingExtra("hsm", "A key in a hardware security module") from None
        try:
            token = pkcs11.lib(self.module).get_token(token_label=self.token)
        except exceptions.NoSuchToken:
            raise HsmUnreachable(
                f"There is no token {self.token!r} behind {self.module}.",
                hint="Is the device connected, and the label right? 'pkcs11-tool --list-slots' shows what is there.",
            ) from None
        except exceptions.MultipleTokensReturned:
            raise HsmUnreachable(
                f"Several tokens behind {self.module} are labelled {self.token!r}.", hint="Give each its own label."
            ) from None
        except exceptions.PKCS11Error as error:
            raise HsmUnreachable(
                f"The PKCS#11 module {self.module} cannot be used: {_said(error)}.",
                hint="Check the path, and that this user may use the device.",
            ) from None
        pin = self.pin()
        try:
            session = token.open(rw=rw, user_pin=pin)
        except (exceptions.PinIncorrect, exceptions.PinInvalid, exceptions.PinLenRange):
            # No 'from': the PIN must not travel in a traceback's frames to a log.
            raise HsmDenied(
                f"The token {self.token!r} refuses the PIN.", hint="Check where the plan takes it from; a few wrong tries lock the token."
            ) from None
        except exceptions.PinLocked:
            raise HsmDenied(f"The token {self.token!r} is locked: too many wrong PINs.", hint="Its security officer unlocks it.") from None
        except exceptions.PKCS11Error as error:
            raise self._failed("log in", error) from None
        try:
            yield session
        finally:
            with contextlib.suppress(exceptions.PKCS11Error):
                session.close()

    def _key(self, session: Any) -> Any:
        import pkcs11
        from pkcs11 import exceptions

        try:
            return session.get_key(object_class=pkcs11.ObjectClass.SECRET_KEY, label=self.key)
        except exceptions.NoSuchKey:
            raise HsmKeyMissing(
                f"The token {self.token!r} holds no secret key {self.key!r}.",
                hint="Make it on the device (AES, 256 bits), or with 'holdfast vault key add --kind kms … --generate'.",
            ) from None
        except exceptions.MultipleObjectsReturned:
            raise HsmKeyMissing(f"The token {self.token!r} holds several keys {self.key!r}.", hint="Give each its own label.") from None

    @contextlib.contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        from pkcs11 import exceptions

        try:
            yield
        except exceptions.PKCS11Error as error:
            raise self._failed(what, error) from error

    def _failed(self, what: str, error: Exception) -> HsmUnreachable | HsmDenied:
        from pkcs11 import exceptions

        refused = (
            exceptions.FunctionNotSupported,
            exceptions.MechanismInvalid,
            exceptions.MechanismParamInvalid,
            exceptions.KeyTypeInconsistent,
            exceptions.UserNotLoggedIn,
            exceptions.TokenWriteProtected,
        )
        text = f"The token {self.token!r} does not {what} with the key {self.key!r}: {_said(error)}."
        if isinstance(error, refused):
            return HsmDenied(text, hint="The key must be AES with 256 bits, and allowed to encrypt and decrypt with AES-GCM.")
        return HsmUnreachable(text, hint="Is the device connected and working?")


def _gcm() -> Any:
    import pkcs11

    return pkcs11.Mechanism.AES_GCM


def _params(nonce: bytes, ad: bytes) -> Any:
    import pkcs11

    return pkcs11.GCMParams(nonce, ad, _TAG_BITS)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}{f' ({error})' if str(error) else ''}"
