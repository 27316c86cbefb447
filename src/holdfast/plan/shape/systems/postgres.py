"""PostgreSQL in the plan."""

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from holdfast.plan.errors import BadValue
from holdfast.plan.shape.base import Part
from holdfast.plan.shape.systems.common import SystemSpec
from holdfast.plan.shape.types import Duration, HttpUrl, OneOrMany, Size, Text, Texts
from holdfast.plan.shape.vault import Tls
from holdfast.plan.values.secret import Address

Addresses = Annotated[tuple[Address, ...], OneOrMany()]


def _hosts(value: Any) -> Any:
    if isinstance(value, dict) and ("patroni" in value or "dsn" in value or not ({"env", "file", "command"} & set(value))):
        return value
    return {"dsn": value}


class Hosts(Part):
    """The members of a cluster: Patroni's address, or a list of DSNs. Which one has which role is found at each run."""

    patroni: HttpUrl | None = None
    dsn: Addresses = ()

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.patroni is None) == (not self.dsn):
            raise BadValue("hosts need one way to find the members", hint="write {patroni: http://…}, or a list of DSNs")
        return self


class WalBacklog(Part):
    """How much WAL a slot may hold back on the server. At ``limit``: keep it (and say so loudly), or drop the slot and take a new base."""

    warn: Size | None = None
    limit: Size | None = None
    then: Literal["keep", "drop-slot"] = "keep"


class StandbySpec(Part):
    """The standby that a failover promotes."""

    dsn: Address
    failure_domain: Text | None = None


class PostgresSystem(SystemSpec):
    """A PostgreSQL cluster, 14 to 18. With ``hosts: {patroni: …}`` a ``dsn`` gives user, database and TLS, and Patroni the addresses."""

    continuous_possible: ClassVar[bool] = True

    kind: Literal["postgres"] = "postgres"
    hosts: Annotated[Hosts, BeforeValidator(_hosts)] | None = None
    dsn: Addresses | None = Field(None, description="how to connect: a reference, a password-free string, or a list of either")
    data_directory: Text | None = Field(None, description="read files in place; without it, over the replication protocol")
    source: Literal["prefer-standby", "standby", "primary"] | None = Field(None, alias="from")
    max_lag: Duration | None = Field(None, description="a standby further behind than this is not used")
    wal_backlog: WalBacklog | None = None
    slot: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,63}$")] | None = Field(None, description="the follower's replication slot")
    synchronous: bool | None = Field(
        None, strict=True, description="the follower takes part in synchronous replication: RPO 0, and it can stop production"
    )
    standby: StandbySpec | None = None
    databases: Texts | None = Field(None, description="databases of which a logical dump is kept as well")
    binaries: Text | None = Field(None, description="folder with the server's programs, for isolated restores")
    tls: Tls | None = None
    checkpoint: Literal["fast", "spread"] | None = Field(None, description="how a backup begins: at once, or without a burst of writes")

    def missing(self) -> str:
        if self.hosts is None and not self.dsn:
            return "hosts or dsn"
        return ""
