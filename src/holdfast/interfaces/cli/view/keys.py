"""What a terminal sends, as keys; and the line that is typed with them."""

import codecs
import re

PASTE_ON, PASTE_OFF = "\x1b[200~", "\x1b[201~"
NAMED = {
    "\r": "enter",
    "\n": "enter",
    "\t": "tab",
    "\x7f": "back",
    "\b": "back",
    "\x15": "clear",
    "\x17": "word",
    "\x0c": "redraw",
    "\x0f": "output",
    "\x04": "end",
    "\x1b[5~": "up",
    "\x1b[6~": "down",
    "\x1b[A": "older",
    "\x1b[B": "newer",
    "\x1bOQ": "f2",
    "\x1b[12~": "f2",
    "\x1bOR": "f3",
    "\x1b[13~": "f3",
    "\x1bOS": "f4",
    "\x1b[14~": "f4",
    "\x1b[15~": "output",
}
_ESCAPE = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z~]|O[A-Za-z]|[^\[O])")
_HALF = re.compile(r"\x1b(\[[0-9;?]*|O)?$")


class Keys:
    """Bytes in, keys out: a name of ``NAMED``, or text. A slow line may deliver a key in pieces; what is pasted never presses Enter."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._pasting = False

    def feed(self, data: bytes) -> list[tuple[str, str]]:
        """(name or '', text) for each key."""
        text = self._rest + self._decoder.decode(data)
        self._rest = ""
        found: list[tuple[str, str]] = []
        while text:
            if text[0] == "\x1b":
                if _HALF.fullmatch(text):
                    self._rest = text
                    break
                matched = _ESCAPE.match(text)
                sequence = matched.group() if matched else text[0]
                text = text[len(sequence) :]
                if sequence in (PASTE_ON, PASTE_OFF):
                    self._pasting = sequence == PASTE_ON
                elif sequence in NAMED and not self._pasting:
                    found.append((NAMED[sequence], ""))
                continue
            character, text = text[0], text[1:]
            if self._pasting:
                found.append(("", character if character.isprintable() else " "))
            elif character in NAMED:
                found.append((NAMED[character], ""))
            elif character.isprintable():
                found.append(("", character))
        return found


class Line:
    """One line of input. ``offers``: words that Tab goes through while nothing else was typed."""

    def __init__(self) -> None:
        self.text = ""
        self._offered = -1

    def press(self, name: str, text: str, offers: tuple[str, ...]) -> str | None:
        """The line when Enter was pressed, else None."""
        if name == "enter":
            done, self.text, self._offered = self.text, "", -1
            return done
        if name == "tab" and offers and (not self.text or self._offered >= 0):
            self._offered = (self._offered + 1) % len(offers)
            self.text = offers[self._offered]
            return None
        self._offered = -1
        if name == "back":
            self.text = self.text[:-1]
        elif name == "clear":
            self.text = ""
        elif name == "word":
            self.text = self.text.rstrip().rpartition(" ")[0]
            self.text += " " if self.text else ""
        elif not name:
            self.text += text
        return None
