"""One YAML file becomes a tree. YAML 1.2's core schema: ``on`` and ``no`` are words, ``1:30`` is text, dates are text."""

import math
import re
from typing import Any

import yaml
from yaml.resolver import BaseResolver

from holdfast.plan.errors import Mark, Problem
from holdfast.plan.source.tree import Items, Mapping, Pair, Plain, Scalar, Tree

MAX_NODES = 200_000  # aliases of aliases can make a small file enormous
_TAG = "tag:yaml.org,2002:"
_KNOWN = {f"{_TAG}{name}" for name in ("null", "bool", "int", "float", "str", "merge", "map", "seq")}


class _Resolver(BaseResolver):
    pass


for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", list("-+0123456789.")),
    ("merge", r"<<", ["<"]),
):
    _Resolver.add_implicit_resolver(f"{_TAG}{_name}", re.compile(rf"^(?:{_pattern})$"), _first)

try:
    from yaml.cyaml import CParser  # type: ignore[attr-defined]

    class _Composer(CParser, _Resolver):
        def __init__(self, stream: str) -> None:
            CParser.__init__(self, stream)
            _Resolver.__init__(self)
except ImportError:  # PyYAML built without libyaml
    from yaml.composer import Composer
    from yaml.parser import Parser
    from yaml.reader import Reader
    from yaml.scanner import Scanner

    class _Composer(Reader, Scanner, Parser, Composer, _Resolver):  # type: ignore[no-redef]
        def __init__(self, stream: str) -> None:
            Reader.__init__(self, stream)
            Scanner.__init__(self)
            Parser.__init__(self)
            Composer.__init__(self)
            _Resolver.__init__(self)


def read(text: str, file: str, *, what: str = "a plan", begin: str = "platform: NAME") -> tuple[Mapping, list[Problem]]:
    """The file's mapping (empty when it has none) and what is wrong with it as YAML. ``what`` it is, and how one begins, for people."""
    top = Mark(file, 1, 1)
    try:
        root = _Composer(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        found = error.problem_mark or error.context_mark
        mark = Mark(file, found.line + 1, found.column + 1) if found else top
        what = " ".join(part for part in (error.context, error.problem) if part)
        return Mapping(top), [Problem(mark, "", f"not YAML: {what}", "look for a missing quote, bracket, colon or indent just before")]
    except (yaml.YAMLError, RecursionError) as error:
        what = getattr(error, "reason", None) or "too deeply nested"
        return Mapping(top), [Problem(top, "", f"not YAML: {what}", "the file must be UTF-8 text without control characters")]
    if root is None:
        return Mapping(top), []
    reading = _Reading(file, what)
    tree = reading.tree(root)
    if isinstance(tree, Mapping):
        return tree, reading.problems
    problem = Problem(tree.mark, "", f"{what} is a mapping of keys to values", f"begin with '{begin}'")
    return Mapping(top), [*reading.problems, problem]


class _Reading:
    def __init__(self, file: str, what: str) -> None:
        self.file = file
        self.what = what
        self.problems: list[Problem] = []
        self.nodes = 0
        self.open: set[int] = set()

    def tree(self, node: Any) -> Tree:
        mark = Mark(self.file, node.start_mark.line + 1, node.start_mark.column + 1)
        self.nodes += 1
        if self.nodes == MAX_NODES:
            self._wrong(mark, "this file unfolds to too many values", "use fewer aliases (*name)")
        if self.nodes >= MAX_NODES:
            return Scalar(None, mark)
        if id(node) in self.open:
            self._wrong(mark, "an alias that contains itself", "write the value out")
            return Scalar(None, mark)
        if node.tag not in _KNOWN:
            self._wrong(mark, f"the tag '{node.tag}' means nothing in {self.what}", "leave it out")
        self.open.add(id(node))
        try:
            if isinstance(node, yaml.ScalarNode):
                return Scalar(self._value(node, mark), mark)
            if isinstance(node, yaml.SequenceNode):
                return Items([self.tree(item) for item in node.value], mark)
            return self._mapping(node, mark)
        finally:
            self.open.discard(id(node))

    def _mapping(self, node: Any, mark: Mark) -> Mapping:
        mapping = Mapping(mark)
        merged: list[Mapping] = []
        for key_node, value_node in node.value:
            key_mark = Mark(self.file, key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            if not isinstance(key_node, yaml.ScalarNode):
                self._wrong(key_mark, "a key must be plain text", "quote it")
                continue
            if key_node.tag == f"{_TAG}merge":
                value = self.tree(value_node)
                merged.extend(part for part in (value.values if isinstance(value, Items) else [value]) if isinstance(part, Mapping))
                continue
            key = str(key_node.value)
            if key in mapping.pairs:
                first = mapping.pairs[key].mark
                self._wrong(key_mark, f"'{key}' is written twice (first in line {first.line})", "keep one of them", key)
                continue
            mapping.pairs[key] = Pair(key_mark, self.tree(value_node))
        for part in merged:
            for key, pair in part.pairs.items():
                mapping.pairs.setdefault(key, pair)
        return mapping

    def _value(self, node: Any, mark: Mark) -> Plain:
        text, kind = str(node.value), node.tag.removeprefix(_TAG)
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() == "true"
        try:
            if kind == "int":
                return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
            if kind == "float":
                number = float(text.replace(".inf", "inf").replace(".nan", "nan").replace(".Inf", "inf").replace(".INF", "inf"))
                return number if math.isfinite(number) else text
        except ValueError:
            self._wrong(mark, "this is no number", "quote it if it is text")
        return text

    def _wrong(self, mark: Mark, message: str, hint: str, path: str = "") -> None:
        self.problems.append(Problem(mark, path, message, hint))
