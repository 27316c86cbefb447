"""Names of what lies in a database, written so that no two things share one and people read them as they know them."""

import re

_PLAIN = re.compile(r'[^."#]+')
_PARTS = re.compile(r'"((?:[^"]|"")*)"|([^."]+)')


def shown(*parts: str) -> str:
    """``schema.table`` as people write it; a part with a dot, a quotation mark or a # in it (or nothing) is quoted as in SQL."""
    return ".".join(part if _PLAIN.fullmatch(part) else quoted(part) for part in parts)


def parted(name: str) -> list[str]:
    """The parts of a name, without their quotation marks: the inverse of ``shown``. A name that is none is one part."""
    found: list[str] = []
    at = 0
    while match := _PARTS.match(name, at):
        found.append(match[2] if match[1] is None else match[1].replace('""', '"'))
        at = match.end()
        if at == len(name):
            return found
        if name[at] != ".":
            break
        at += 1
    return [name]


def behind_database(name: str) -> tuple[str | None, str]:
    """(database, the rest as it was written) of a name of three parts; (None, all of it) of others. ``name`` is quoted as in SQL."""
    if len(parted(name)) != 3:
        return None, name
    match = _PARTS.match(name)
    assert match is not None
    return parted(name)[0], name[match.end() + 1 :]


def quoted(identifier: str) -> str:
    """An SQL identifier."""
    return '"' + identifier.replace('"', '""') + '"'
