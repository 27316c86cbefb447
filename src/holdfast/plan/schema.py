"""The JSON Schema of a plan, for editors.

Generated from the models: ``python -m holdfast.plan.schema`` writes ``schema.json`` beside this file.
"""

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, create_model

from holdfast.plan.shape.base import Part
from holdfast.plan.shape.document import Document
from holdfast.plan.shape.systems import KINDS, spec_of

FILE = Path(__file__).with_name("schema.json")


def schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of one plan file: of an included part as well, so nothing is required at the top."""
    fields: dict[str, Any] = {kind: (spec_of(kind) | None, None) for kind in KINDS}
    defaults = create_model("Defaults", __base__=Part, __doc__="By kind of system; a system's own keys replace them.", **fields)
    union: Any = spec_of(KINDS[0])
    for kind in KINDS[1:]:
        union |= spec_of(kind)
    systems: Any = dict[str, Annotated[union, Field(discriminator="kind")]]
    parts: dict[str, Any] = {"defaults": (defaults | None, None), "systems": (systems, Field(default_factory=dict))}
    whole = create_model("Plan", __base__=Document, __doc__="A continuity plan of Holdfast.", **parts)
    found = whole.model_json_schema(by_alias=True)
    found.pop("required", None)
    for kind in KINDS:
        part = found["$defs"][spec_of(kind).__name__]
        # In systems the kind is what tells them apart; in defaults the key above says it.
        part["required"] = [key for key in part.get("required", []) if key != "kind"]
    for mapping in found["properties"]["systems"].get("additionalProperties", {}), *_patterned(found["properties"]["systems"]):
        mapping.setdefault("required", ["kind"])
    _plain(found)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}


def text() -> str:
    """As shipped."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _patterned(node: dict[str, Any]) -> list[dict[str, Any]]:
    return list(node.get("patternProperties", {}).values())


def _plain(node: Any) -> None:
    """Take out what says nothing to an editor: titles made from names, defaults of None."""
    if isinstance(node, dict):
        if isinstance(node.get("title"), str):
            node.pop("title")
        if "default" in node and node["default"] is None:
            node.pop("default")
        for value in node.values():
            _plain(value)
    elif isinstance(node, list):
        for value in node:
            _plain(value)


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
