"""Buckets and Delta tables in the plan."""

from typing import ClassVar, Literal

from pydantic import Field

from holdfast.plan.shape.base import Part
from holdfast.plan.shape.systems.common import SystemSpec
from holdfast.plan.shape.types import BucketUrl, Text, Texts
from holdfast.plan.shape.vault import Endpoint


class BucketSystem(SystemSpec, Endpoint):
    """Objects under a URL, all or some prefixes."""

    continuous_possible: ClassVar[bool] = True

    kind: Literal["bucket"] = "bucket"
    url: BucketUrl | None = None
    prefixes: Texts | None = None

    def missing(self) -> str:
        return "" if self.url else "url"


class Executor(Part):
    """Where copying and verifying fan out; without it, a local pool."""

    spark: Text | None = None


class DeltaSystem(SystemSpec, Endpoint):
    """Delta tables below a URL."""

    kind: Literal["delta"] = "delta"
    url: BucketUrl | None = None
    tables: Texts | None = None
    expectations: Text | None = Field(None, description="folder with Great Expectations suites")
    executor: Executor | None = None

    def missing(self) -> str:
        return "" if self.url else "url"
