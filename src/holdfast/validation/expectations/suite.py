"""A suite of Great Expectations in its JSON format: that of 1.x (``name``, ``type``) and that of 0.x (``expectation_suite_name``,
``expectation_type``), which differ in names alone.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from holdfast.validation.expectations.errors import SuiteDamaged, SuiteEmpty, SuiteMissing

_LARGEST = 64 << 20
_WRITE = "Write one: holdfast expectations SYSTEM --table TABLE --into FILE; or correct the path in the plan."


@dataclass(frozen=True, slots=True)
class Expectation:
    """``kind`` as Great Expectations names it (``expect_column_sum_to_be_between``); ``arguments`` as in the file."""

    kind: str
    arguments: Mapping[str, Any]

    @property
    def label(self) -> str:
        """With the columns it is about."""
        names = [self.arguments[key] for key in ("column", "column_A", "column_B") if isinstance(self.arguments.get(key), str)]
        several = self.arguments.get("column_list")
        names += [str(one) for one in several] if isinstance(several, list) and "columns_to" not in self.kind else []
        return " ".join([self.kind.removeprefix("expect_"), ", ".join(names)]).strip()


@dataclass(frozen=True, slots=True)
class Suite:
    """``coordinate``: where the exact values in it belong, as ``Isolated.reached`` says it; empty where they are bounds, for any moment."""

    name: str
    expectations: tuple[Expectation, ...]
    coordinate: Mapping[str, Any] = field(default_factory=dict)


def read(path: Path) -> Suite:
    """Raises SuiteMissing (a folder is none), SuiteDamaged, SuiteEmpty."""
    return parse(read_bytes(path), path.stem, str(path))


def read_bytes(path: Path) -> bytes:
    """Raises SuiteMissing (a folder is none), and SuiteDamaged for more than a suite may have."""
    if path.is_dir():
        raise SuiteMissing(f"The folder {path} holds no suite.", hint=_WRITE)
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except OSError as error:
        raise SuiteMissing(f"The suite {path} cannot be read: {error.strerror}.", hint=_WRITE) from error
    if len(data) > _LARGEST:
        raise SuiteDamaged(f"{path} is larger than {_LARGEST >> 20} MiB: no suite.")
    return data


def suites_in(folder: Path) -> list[tuple[str, Path]]:
    """(table, file) of each suite of a folder: ``sales/orders.json`` is that of the table ``sales/orders``."""
    # Great Expectations keeps a file for itself beside its suites.
    files = [file for file in sorted(folder.rglob("*.json")) if not any(part.startswith(".") for part in file.relative_to(folder).parts)]
    return [(file.relative_to(folder).with_suffix("").as_posix(), file) for file in files]


def parse(data: bytes, name: str, where: str) -> Suite:
    """``name``: what the suite is called if it does not say; ``where``: how it is called in messages. Raises SuiteDamaged, SuiteEmpty."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SuiteDamaged(f"{where} is no JSON: {error}.", hint="Write it anew: holdfast expectations SYSTEM --table TABLE") from error
    given = document.get("expectations") if isinstance(document, dict) else None
    if not isinstance(given, list):
        raise SuiteDamaged(f"{where} is no suite of Great Expectations: it has no list of expectations.", hint=_form(document))
    if not given:
        raise SuiteEmpty(f"{where} expects nothing.", hint="A suite without expectations proves nothing: write some, or remove it.")
    found = tuple(_one(one, number, where) for number, one in enumerate(given, 1))
    called = document.get("name") or document.get("expectation_suite_name") or name
    meta = document.get("meta")
    ours = meta.get("holdfast") if isinstance(meta, dict) else None
    exact = ours.get("coordinate") if isinstance(ours, dict) and ours.get("exact") is True else None
    return Suite(str(called), found, exact if isinstance(exact, dict) else {})


def _one(given: Any, number: int, where: str) -> Expectation:
    kind = given.get("type", given.get("expectation_type")) if isinstance(given, dict) else None
    arguments = given.get("kwargs", {}) if isinstance(given, dict) else None
    if not isinstance(kind, str) or not isinstance(arguments, dict):
        raise SuiteDamaged(
            f"Expectation {number} of {where} has no type with kwargs.", hint="Great Expectations writes it so; by hand: type, kwargs."
        )
    return Expectation(kind, arguments)


def _form(document: Any) -> str:
    if isinstance(document, dict) and ("validations" in document or "validation_definitions" in document):
        return "It looks like a checkpoint: name the suite's own file, below gx/expectations."
    if isinstance(document, dict) and "results" in document:
        return "It looks like a validation's result: name the suite's own file, below gx/expectations."
    return "Name a file as Great Expectations 1.x or 0.18 writes it, below gx/expectations."
