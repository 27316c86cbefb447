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
    return f"{where}incident {message.incident}: {message.kind}" + (f" {said}" if said else "")


def plain(message: Message, *, headline: bool = True, key: bool = False) -> str:
    """All of it in lines. ``key``: with the message's key, by which a repetition is seen."""
    parts = [message.headline] if headline else []
    if message.drill:
        parts.append("This is a drill. Nothing is broken; act as if it were.")
    if message.text:
        parts.append(message.text.strip())
    if message.facts:
        parts.append("\n".join(f"{name}: {value}" for name, value in message.facts.items()))
    if message.links:
        parts.append("\n".join(f"{link.title}: {link.url}" for link in message.links))
    parts.append(about(message) + (f"\nmessage {message.key}" if key else ""))
    return "\n\n".join(parts)
