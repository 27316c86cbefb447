"""Airflow, and files with code and images, in the plan."""

from typing import Annotated, Literal

from holdfast.plan.shape.systems.common import SystemSpec
from holdfast.plan.shape.types import HttpUrl, Name, OneOrMany, Texts
from holdfast.plan.values.secret import Address, SecretRef


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


class FilesSystem(SystemSpec):
    """Folders, Git repositories, container images by digest."""

    kind: Literal["files"] = "files"
    paths: Texts | None = None
    exclude: Texts | None = None
    git: Annotated[tuple[Address, ...], OneOrMany()] | None = None
    images: Texts | None = None

    def missing(self) -> str:
        return "" if self.paths or self.git or self.images else "paths, git or images"
