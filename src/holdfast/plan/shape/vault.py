"""The vault's part of the plan: key, locations, scopes."""

from typing import Annotated, Literal

from pydantic import Field

from holdfast.plan.shape.base import Part
from holdfast.plan.shape.types import HttpUrl, LocationUrl, Name, Text
from holdfast.plan.values.secret import KeyRef, SecretRef


class Tls(Part):
    """Certificates in PEM files. ``ca`` replaces the system's authorities; ``cert`` and ``key`` are for mutual TLS."""

    ca: Text | None = None
    cert: Text | None = None
    key: Text | None = None


class Credentials(Part):
    """Of a store of objects, by reference. Without any, those are used that the provider's own tools would find.

    s3://: a profile of the AWS configuration, or keys. gs://: ``service_account``, the JSON of its key. az://: the account's name with its
    key, a shared access signature, or an application of Entra ID.
    """

    profile: Text | None = None
    access_key_id: SecretRef | None = None
    secret_access_key: SecretRef | None = None
    session_token: SecretRef | None = None
    service_account: SecretRef | None = Field(None, description="gs://: the JSON of a service account's key")
    account_name: Text | None = Field(None, description="az://: the storage account")
    account_key: SecretRef | None = Field(None, description="az://: one of the account's two keys")
    sas_token: SecretRef | None = Field(None, description="az://: a shared access signature")
    tenant_id: Text | None = Field(None, description="az://: of an application of Entra ID")
    client_id: Text | None = Field(None, description="az://: of an application of Entra ID")
    client_secret: SecretRef | None = Field(None, description="az://: of an application of Entra ID")

    def named(self) -> dict[str, "str | SecretRef"]:
        """What is given, by name."""
        return {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}


class Lock(Part):
    """Object lock: what is written cannot be destroyed for ``days``. In ``compliance`` not even with the account's keys."""

    mode: Literal["compliance", "governance"] = "compliance"
    days: Annotated[int, Field(ge=1, le=36500, strict=True)]


class Endpoint(Part):
    """How a store of objects is reached. ``path_style`` puts the bucket into the path (most stores other than AWS)."""

    endpoint: HttpUrl | None = None
    region: Text | None = None
    credentials: Credentials | None = None
    tls: Tls | None = None
    path_style: bool | None = Field(None, strict=True)


class Location(Endpoint):
    """One place that holds the whole vault. ``versions``: of a bucket that keeps versions the oldest that holds is read, as with a lock."""

    name: Name
    url: LocationUrl
    failure_domain: Text | None = None
    lock: Lock | None = None
    versions: bool | None = Field(None, strict=True)


class Scope(Part):
    """Systems with a key of their own: destroy it, and their history is erased for good.

    ``erase``: where a location locks objects, an erasure takes effect when the lock of the key's slots ends; with ``at-once`` a part of the
    key lies outside of the lock, so that whoever may delete there can destroy the scope's history as well.
    """

    key: KeyRef
    erase: Literal["after-lock", "at-once"] = "after-lock"


class VaultPart(Part):
    """Where recovery points rest, and the key that opens them. Locations are written in this order."""

    key: KeyRef
    locations: Annotated[tuple[Location, ...], Field(min_length=1)]
    scopes: dict[Name, Scope] = Field(default_factory=dict)
