"""Where the copying and the proof of a large system run beside this machine."""

import re
from typing import Self

from pydantic import Field, model_validator

from holdfast.plan.errors import BadValue
from holdfast.plan.shape.base import Part
from holdfast.plan.shape.types import Size, Text
from holdfast.plan.values.secret import KeyRef

LEAST = 64 << 20
_SECRET = re.compile(r"secret|password|passwd|token|credential|access[._-]?key", re.IGNORECASE)


class Executor(Part):
    """A Spark cluster whose workers copy and, with ``verify``, scan; without it, this machine does both (docs/spark-executor.md)."""

    spark: Text = Field(description="the master: spark://host:7077, or whatever else Spark takes as one")
    key: KeyRef | None = Field(None, description="where a writer's key lies on the workers; none: where the vault's key lies here")
    verify: bool | None = Field(None, strict=True, description="verification scans tables on the workers, too; it needs verify_key")
    verify_key: KeyRef | None = Field(None, description="where a reader's key lies on the workers")
    python: Text | None = Field(None, description="the workers' Python that has Holdfast; none: as the path of this one")
    least: Size | None = Field(None, description="what is less in sum is copied by this machine alone (64MiB)")
    options: dict[str, str] = Field(default_factory=dict, description="settings of Spark: {spark.executor.memory: 1g}")

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        for name in self.options:
            if not name.startswith("spark."):
                raise BadValue(f"'{name}' is no setting of Spark", hint="they begin with spark.")
            if _SECRET.search(name):
                # Spark shows its settings to whoever opens its page, and passes them in process lists.
                raise BadValue(f"'{name}' holds a secret, which has no place in a plan", hint="write it into conf/spark-defaults.conf")
            if name in ("spark.master", "spark.pyspark.python"):
                raise BadValue(f"'{name}' is not set among the options", hint="write executor: {spark: MASTER, python: PATH}")
        if self.verify and self.verify_key is None:
            raise BadValue("verification on the workers needs a reader's key", hint="add verify_key: {file: PATH} with its place there")
        if self.verify_key is not None and not self.verify:
            raise BadValue("verify_key is of no use without verify", hint="add verify: true, or leave it out")
        return self
