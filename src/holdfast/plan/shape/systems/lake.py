"""Buckets in the plan."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from holdfast.plan.errors import BadValue
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

    @model_validator(mode="after")
    def _executor_copies(self) -> Self:
        if self.executor is not None and self.executor.verify:
            raise BadValue("the workers of an executor verify tables, not buckets", hint="leave verify and verify_key out")
        return self

    def missing(self) -> str:
        return "" if self.url else "url"
