"""References to secrets. The plan never holds one; ``holdfast.connect.secrets`` reads them when they are needed."""

import re
from typing import Any, ClassVar, Self
from urllib.parse import urlsplit

from pydantic import GetJsonSchemaHandler, model_validator
from pydantic_core import core_schema

from holdfast.plan.errors import BadValue
from holdfast.plan.shape.base import Part

_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_WAYS = "{env: NAME}, {file: PATH} or {command: …}"
_KEYWORD = re.compile(r"(?:^|[\s?&;])(?:password|passwd|sslpassword|pwd|token)\s*=", re.IGNORECASE)


def holds_password(text: str) -> bool:
    """Whether a URL or a connection string carries a password."""
    try:
        if urlsplit(text).password:
            return True
    except ValueError:
        return True
    return bool(_KEYWORD.search(text))


class SecretRef(Part):
    """Where a secret is read from: exactly one of an environment variable, a file, a command's output.

    A command that is a string is split like a shell would, without a shell; a list is taken as it is.
    """

    env: str | None = None
    file: str | None = None
    command: str | tuple[str, ...] | None = None

    sources: ClassVar[tuple[str, ...]] = ("env", "file", "command")
    ways: ClassVar[str] = _WAYS

    @model_validator(mode="before")
    @classmethod
    def _by_reference(cls, value: Any) -> Any:
        if not isinstance(value, dict | SecretRef):
            raise BadValue("a literal stands where a secret belongs (it is not repeated here)", hint=f"name where it is kept: {cls.ways}")
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        given = [name for name in self.sources if getattr(self, name)]
        if len(given) != 1:
            raise BadValue(
                f"a secret has {'no source' if not given else 'several sources: ' + ', '.join(given)}",
                hint=f"write exactly one of {self.ways}",
            )
        if self.env and not _ENV.fullmatch(self.env):
            raise BadValue(
                "that is no name of an environment variable (it is not repeated here)", hint="write the variable's name, not what it holds"
            )
        return self

    def __str__(self) -> str:
        """Names the reference, never the value."""
        if self.env:
            return f"environment variable {self.env}"
        if self.file:
            return f"file {self.file}"
        if isinstance(self.command, str):
            return f"command {self.command.split()[0]}"
        return f"command {self.command[0]}" if self.command else "no reference"


class Kms(Part):
    """A key in a hardware security module, by PKCS#11: the path of its library, the labels of token and key, the PIN by reference."""

    pkcs11: str
    token: str
    key: str
    pin: SecretRef


class KeyRef(SecretRef):
    """A key of the vault: text by reference, as any secret; or a key that stays in a hardware security module."""

    kms: Kms | None = None

    sources: ClassVar[tuple[str, ...]] = ("env", "file", "command", "kms")
    ways: ClassVar[str] = f"{_WAYS}, or {{kms: {{pkcs11: LIBRARY, token: …, key: …, pin: {{env: NAME}}}}}}"

    def __str__(self) -> str:
        return f"key {self.kms.key} on the token {self.kms.token}" if self.kms else super().__str__()


class Address(SecretRef):
    """Where a system is reached. A literal is fine while it holds no password; otherwise a reference to the whole."""

    literal: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _by_reference(cls, value: Any) -> Any:
        if isinstance(value, str):
            if holds_password(value):
                raise BadValue(
                    "an address with a password in it (it is not repeated here)", hint=f"keep the whole address outside the plan: {_WAYS}"
                )
            return {"literal": value}
        if isinstance(value, dict) and "literal" in value:
            raise BadValue("an address is written plainly", hint='write it without "literal:"')
        if not isinstance(value, dict | SecretRef):
            raise BadValue("that is no address", hint=f"write a string without a password, or {_WAYS}")
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        return self if self.literal is not None else super()._exactly_one()  # type: ignore[operator]

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        found = handler.resolve_ref_schema(handler(schema))
        found["properties"].pop("literal", None)
        return {"anyOf": [{"type": "string", "description": "an address without a password"}, found]}

    def __str__(self) -> str:
        return self.literal if self.literal is not None else super().__str__()
