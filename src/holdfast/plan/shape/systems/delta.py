"""Delta tables in the plan."""

from typing import Literal

from pydantic import Field

from holdfast.plan.shape.base import Part
from holdfast.plan.shape.systems.common import SystemSpec
from holdfast.plan.shape.types import BucketUrl, Text, Texts
from holdfast.plan.shape.vault import Endpoint


class Executor(Part):
    """Where copying and verifying fan out; without it, a local pool."""

    spark: Text | None = None


class DeltaSystem(SystemSpec, Endpoint):
    """Delta tables below a URL."""

    kind: Literal["delta"] = "delta"
    url: BucketUrl | None = None
    tables: Texts | None = Field(None, description="paths below the URL, or patterns as in a shell; none: all that are found")
    checkpoints: Texts | None = Field(
        None,
        description="folders of streaming checkpoints, below the URL or whole addresses; those of flows into the lake belong to it, too",
    )
    expectations: Text | None = Field(None, description="folder with Great Expectations suites")
    executor: Executor | None = None

    def missing(self) -> str:
        return "" if self.url else "url"
