"""Delta tables in the plan."""

from typing import Literal

from pydantic import Field

from holdfast.plan.shape.systems.common import SystemSpec
from holdfast.plan.shape.systems.executor import Executor
from holdfast.plan.shape.types import BucketUrl, Text, Texts
from holdfast.plan.shape.vault import Endpoint


class DeltaSystem(SystemSpec, Endpoint):
    """Delta tables below a URL."""

    kind: Literal["delta"] = "delta"
    url: BucketUrl | None = None
    tables: Texts | None = Field(None, description="paths below the URL, or patterns as in a shell; none: all that are found")
    checkpoints: Texts | None = Field(
        None,
        description="folders of streaming checkpoints, below the URL or whole addresses; those of flows into the lake belong to it, too",
    )
    record_content: bool | None = Field(
        None,
        description="hash the rows of new files at each backup, so that a proof of any point needs no source (costs reading every new row)",
    )
    expectations: Text | None = Field(None, description="folder with Great Expectations suites: orders.json is that of the table orders")
    executor: Executor | None = Field(None, description="copying and proof by a Spark cluster")

    def missing(self) -> str:
        return "" if self.url else "url"
