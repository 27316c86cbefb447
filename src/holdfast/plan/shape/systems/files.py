"""Folders, Git repositories and container images in the plan."""

from typing import Annotated, Literal

from pydantic import Field

from holdfast.plan.shape.systems.common import SystemSpec
from holdfast.plan.shape.types import OneOrMany, Text, Texts
from holdfast.plan.values.secret import Address


class FilesSystem(SystemSpec):
    """Folders, Git repositories, container images by digest."""

    kind: Literal["files"] = "files"
    paths: Texts | None = Field(None, description="folders and files, by their absolute paths")
    exclude: Annotated[tuple[Text, ...], OneOrMany()] | None = Field(
        None, description="patterns as in .gitignore, relative to each path; the last that fits decides, ! brings back"
    )
    exclude_caches: bool | None = Field(None, strict=True, description="leave out what lies beside a CACHEDIR.TAG")
    one_filesystem: bool | None = Field(None, strict=True, description="what is mounted below a path is left out")
    git: Annotated[tuple[Address, ...], OneOrMany()] | None = None
    images: Texts | None = None

    def missing(self) -> str:
        return "" if self.paths or self.git or self.images else "paths, git or images"
