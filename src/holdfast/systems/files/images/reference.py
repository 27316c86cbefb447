"""Names of images, as the distribution project's grammar has them: ``host[:port]/path[:tag][@digest]``. The host is always written."""

import re
from dataclasses import dataclass

from holdfast.systems.files.images.errors import ImageReferenceWrong

_HOST = r"(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?)(?::[0-9]{1,5})?"
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_REFERENCE = re.compile(rf"({_HOST})/({_PART}(?:/{_PART})*)(?::({_TAG}))?(?:@({DIGEST.pattern}))?")
_MOST = 255


@dataclass(frozen=True, slots=True)
class Reference:
    """``tag`` and ``digest``: at least one is there; where both are, the digest decides and the tag is a note."""

    host: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @property
    def wanted(self) -> str:
        """What a registry is asked for."""
        return self.digest or self.tag or "latest"

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.host}/{self.repository}{tag}{'@' + self.digest if self.digest else ''}"


def parse_reference(text: str) -> Reference:
    """Raises ImageReferenceWrong."""
    match = _REFERENCE.fullmatch(text) if len(text) < 1024 else None
    if match is None or len(match[2]) > _MOST:
        raise ImageReferenceWrong(
            f"{text[:200]!r} is no name of an image.", hint="Write host/path:tag or host/path@sha256:…, the registry's host included."
        )
    host = match[1]
    if "." not in host and ":" not in host and host != "localhost":
        raise ImageReferenceWrong(
            f"{text!r} does not say which registry it is in.", hint="Begin with the registry's host: registry.example/path:tag"
        )
    return Reference(host, match[2], match[3] or (None if match[4] else "latest"), match[4])
