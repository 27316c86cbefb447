"""A message as plain text, for whatever shows no more than that."""

from holdfast.connect.channels.contract import Message

CUT = " … (cut)"


def cut(text: str, longest: int) -> str:
    """At most ``longest`` characters, and told when some are missing."""
    return text if len(text) <= longest else text[: longest - len(CUT)] + CUT


def about(message: Message) -> str:
    """Which incident of which platform, who said it and when: one line."""
    where = f"{message.platform}, " if message.platform else ""
    said = " ".join(part for part in (f"by {message.by}" if message.by else "", f"at {message.at}" if message.at else "") if part)
    return " ".join((f"{where}incident {message.incident}: {message.kind}" + (f" {said}" if said else "")).split())


def mark(message: Message) -> str:
    """What a repetition is seen by where only text is kept; closed, so that no key is the beginning of another."""
    return f"[message {message.key}]"


def plain(message: Message, longest: int, *, headline: bool = True, marked: bool = False) -> str:
    """At most ``longest`` characters of it in lines. ``marked``: with ``mark``, which is never cut."""
    parts = [message.headline] if headline else []
    if message.drill:
        parts.append("This is a drill. Nothing is broken; act as if it were.")
    if message.text.strip():
        parts.append(message.text.strip())
    if message.facts:
        parts.append("\n".join(f"{name}: {value}" for name, value in message.facts.items()))
    if message.links:
        parts.append("\n".join(f"{link.title}: {link.url}" for link in message.links))
    last = cut(about(message), 1000) + (f"\n{mark(message)}" if marked else "")
    return "\n\n".join(part for part in (cut("\n\n".join(parts), longest - len(last) - 2), last) if part)
