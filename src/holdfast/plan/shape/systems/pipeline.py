"""Airflow in the plan."""

from typing import Literal

from holdfast.plan.shape.systems.common import SystemSpec
from holdfast.plan.shape.types import HttpUrl, Name
from holdfast.plan.values.secret import SecretRef


class AirflowSystem(SystemSpec):
    """Airflow 2 or 3; ``metastore`` names the postgres system that holds its database."""

    kind: Literal["airflow"] = "airflow"
    api: HttpUrl | None = None
    metastore: Name | None = None
    token: SecretRef | None = None
    user: SecretRef | None = None
    password: SecretRef | None = None

    def missing(self) -> str:
        needed = [name for name in ("api", "metastore") if getattr(self, name) is None]
        return " and ".join(needed)
