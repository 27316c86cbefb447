"""Buckets in the plan."""

from typing import Annotated, Literal

from pydantic import Field

from holdfast.plan.shape.systems.common import SystemSpec
from holdfast.plan.shape.systems.executor import Executor
from holdfast.plan.shape.types import BucketUrl, Texts
from holdfast.plan.shape.vault import Endpoint


class BucketSystem(SystemSpec, Endpoint):
    """Objects under a URL, all or some prefixes."""

    kind: Literal["bucket"] = "bucket"
    url: BucketUrl | None = None
    prefixes: Texts | None = Field(None, description="beginnings of keys, below the URL; none: all")
    versions: Literal["current", "all"] | None = Field(None, description="what a point holds: what is current (default), or every version")
    threads: Annotated[int, Field(ge=1, le=256, strict=True)] | None = Field(None, description="requests at once (16)")
    executor: Executor | None = Field(None, description="copying by a Spark cluster")

    def missing(self) -> str:
        return "" if self.url else "url"
