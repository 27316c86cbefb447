"""What an action printed: secrets taken out, hashed and counted whole, kept in part. A gigabyte takes no more memory than a page."""

import base64
import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, quote_plus

HEAD = 8 << 10
TAIL = 8 << 10
WHOLE = 4 << 20
"""Output up to this size can be read for values that later steps use."""

MARK = b"[secret]"


class Kept(NamedTuple):
    """``size`` and ``sha256`` are of all that was printed, after secrets were taken out; ``text`` is what is kept of it.

    No dataclass: what makes those takes longer to import than all else that ``supervisor`` needs.
    """

    size: int
    sha256: str
    text: str
    cut: int

    def to_json(self) -> dict[str, Any]:
        return {"size": self.size, "sha256": self.sha256, "text": self.text, "cut": self.cut}

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> "Kept":
        """As ``to_json`` gave it."""
        return cls(int(said["size"]), str(said["sha256"]), str(said["text"]), int(said["cut"]))


class Redactor:
    """Replaces secrets in a stream, also where one is printed in two pieces, quoted for JSON or a URL, or in base64."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms: set[bytes] = set()
        for secret in secrets:
            for text in {secret, *(line for line in secret.splitlines() if len(line) >= 6)}:
                plain = _bytes(text)
                forms |= {plain, json.dumps(text)[1:-1].encode(), quote(plain, safe="").encode(), quote_plus(plain).encode()}
                forms |= {_bytes(json.dumps(text, ensure_ascii=False)[1:-1])}
                forms |= {quote(plain).encode(), base64.b64encode(plain), base64.urlsafe_b64encode(plain)}
        # The longest first, so that a secret inside another leaves no rest.
        self._forms = sorted((form for form in forms if form), key=len, reverse=True)
        self._held = b""

    def feed(self, data: bytes) -> bytes:
        """What can be told by now; the rest is held back until it is known that no secret began there."""
        if not self._forms:
            return data
        data = self._held + data
        for form in self._forms:
            data = data.replace(form, MARK)
        keep = 0
        for form in self._forms:
            for length in range(min(len(form) - 1, len(data)), keep, -1):
                if data.endswith(form[:length]):
                    keep = length
                    break
        self._held = data[len(data) - keep :]
        return data[: len(data) - keep]

    def end(self) -> bytes:
        held, self._held = self._held, b""
        return held

    def text(self, text: str) -> str:
        """A text that is there as a whole."""
        data = _bytes(text)
        for form in self._forms:
            data = data.replace(form, MARK)
        return data.decode(errors="replace")

    def value(self, value: Any) -> Any:
        """The texts in a JSON value."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(key)): self.value(each) for key, each in value.items()}
        return [self.value(each) for each in value] if isinstance(value, list) else value


class Capture:
    """One stream of an action. ``whole`` is everything while it fits WHOLE, else None. ``beside`` is given each piece, without secrets."""

    def __init__(self, secrets: Iterable[str] = (), beside: Callable[[bytes], None] | None = None) -> None:
        self._redactor = Redactor(secrets)
        self._beside = beside
        self._hash = hashlib.sha256()
        self._size = 0
        self._head = bytearray()
        self._tail: deque[bytes] = deque()
        self._tail_size = 0
        self._whole: bytearray | None = bytearray()

    def feed(self, data: bytes) -> None:
        self._take(self._redactor.feed(data))

    def end(self) -> Kept:
        """May be called once, when nothing follows."""
        self._take(self._redactor.end())
        tail = b"".join(self._tail)[-TAIL:]
        cut = self._size - len(self._head) - len(tail)
        said = bytes(self._head).decode(errors="replace")
        if cut > 0:
            said += f"\n[… {cut} bytes are not kept …]\n"
        return Kept(self._size, self._hash.hexdigest(), said + tail.decode(errors="replace"), cut)

    @property
    def whole(self) -> str | None:
        return None if self._whole is None else bytes(self._whole).decode(errors="replace")

    def _take(self, data: bytes) -> None:
        self._hash.update(data)
        self._size += len(data)
        if self._beside is not None and data:
            self._beside(data)
        if self._whole is not None:
            self._whole += data
            if len(self._whole) > WHOLE:
                self._whole = None
        free = HEAD - len(self._head)
        self._head += data[:free]
        rest = data[max(free, 0) :]
        if rest:
            self._tail.append(rest)
            self._tail_size += len(rest)
        while self._tail and self._tail_size - len(self._tail[0]) >= TAIL:
            self._tail_size -= len(self._tail.popleft())


def kept(text: str, secrets: Iterable[str] = ()) -> Kept:
    """Of a text that is there as a whole."""
    capture = Capture(secrets)
    capture.feed(_bytes(text))
    return capture.end()


def _bytes(text: str) -> bytes:
    """As a process gets and prints it: what is no UTF-8 in a variable or a file stands in a text as surrogates."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return text.encode(errors="replace")
