"""Kafka and MongoDB in the plan."""

from typing import ClassVar, Literal

from pydantic import Field

from holdfast.plan.shape.base import Part
from holdfast.plan.shape.systems.common import SystemSpec
from holdfast.plan.shape.types import HttpUrl, Texts
from holdfast.plan.shape.vault import Tls
from holdfast.plan.values.secret import Address, SecretRef


class KafkaSecurity(Part):
    """SASL mechanism with its user and password, and TLS."""

    sasl: Literal["plain", "scram-sha-256", "scram-sha-512", "aws-msk-iam"] | None = None
    user: SecretRef | None = None
    password: SecretRef | None = None
    tls: Tls | None = None


class SchemaRegistry(Part):
    url: HttpUrl
    user: SecretRef | None = None
    password: SecretRef | None = None
    tls: Tls | None = None


class KafkaSystem(SystemSpec):
    """Topics (globs), their configuration, schemas and group offsets."""

    continuous_possible: ClassVar[bool] = True

    kind: Literal["kafka"] = "kafka"
    bootstrap: Texts | None = Field(None, description="host:port, several with commas or as a list")
    security: KafkaSecurity | None = None
    topics: Texts | None = None
    groups: Texts | None = None
    schema_registry: SchemaRegistry | None = None

    def missing(self) -> str:
        return "" if self.bootstrap else "bootstrap"


class MongoSystem(SystemSpec):
    """A replica set."""

    continuous_possible: ClassVar[bool] = True

    kind: Literal["mongodb"] = "mongodb"
    uri: Address | None = None
    databases: Texts | None = None
    tls: Tls | None = None

    def missing(self) -> str:
        return "" if self.uri else "uri"
