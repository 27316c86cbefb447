"""Folders, Git repositories and container images in the plan."""

from typing import Annotated, Any, Literal

from pydantic import Field, GetJsonSchemaHandler, model_validator
from pydantic_core import core_schema

from holdfast.plan.shape.base import Part
from holdfast.plan.shape.systems.common import SystemSpec
from holdfast.plan.shape.types import OneOrMany, Text, Texts
from holdfast.plan.shape.vault import Tls
from holdfast.plan.values.secret import Address, SecretRef


def _or_plain(found: dict[str, Any], plain: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [plain, found]}


class GitRepository(Part):
    """A repository by its address, or by ``url`` with more said of it. ``user`` and ``password`` (or a token) go to the host of ``url``."""

    url: Address
    user: Address | None = None
    password: SecretRef | None = None
    submodules: bool | None = Field(None, strict=True, description="capture the submodules that it names, too")
    lfs: bool | None = Field(None, strict=True, description="false: leave out the files that Git LFS keeps")
    tls: Tls | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return value if isinstance(value, GitRepository) or (isinstance(value, dict) and "url" in value) else {"url": value}

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        found = handler.resolve_ref_schema(handler(schema))
        return _or_plain(found, found["properties"]["url"])


class ContainerImage(Part):
    """An image by its name, or by ``name`` with more said of it: ``host/path:tag`` or ``host/path@sha256:…``."""

    name: Text
    platforms: Texts | None = Field(None, description="os/architecture; all that the image has where none are named")

    @model_validator(mode="before")
    @classmethod
    def _plain(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        found = handler.resolve_ref_schema(handler(schema))
        return _or_plain(found, {"type": "string", "minLength": 1, "description": "host/path:tag or host/path@sha256:…"})


class ContainerRegistry(Part):
    """How the registry at ``host`` is reached. One that is not named is reached with TLS and without credentials."""

    host: Text = Field(description="as in the images' names: registry.example or registry.example:5000")
    user: Address | None = None
    password: SecretRef | None = None
    tls: Tls | None = None
    plain_http: bool | None = Field(None, strict=True, description="without TLS: on this machine or a closed network")


class FilesSystem(SystemSpec):
    """Folders, Git repositories, container images by digest."""

    kind: Literal["files"] = "files"
    paths: Texts | None = Field(None, description="folders and files, by their absolute paths")
    exclude: Annotated[tuple[Text, ...], OneOrMany()] | None = Field(
        None, description="patterns as in .gitignore, relative to each path; the last that fits decides, ! brings back"
    )
    exclude_caches: bool | None = Field(None, strict=True, description="leave out what lies beside a CACHEDIR.TAG")
    one_filesystem: bool | None = Field(None, strict=True, description="what is mounted below a path is left out")
    git: Annotated[tuple[GitRepository, ...], OneOrMany()] | None = None
    images: Annotated[tuple[ContainerImage, ...], OneOrMany()] | None = None
    registries: Annotated[tuple[ContainerRegistry, ...], OneOrMany()] | None = None

    def missing(self) -> str:
        return "" if self.paths or self.git or self.images else "paths, git or images"
