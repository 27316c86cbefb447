"""Everything else, by the library apprise (https://github.com/caronc/apprise), which knows some hundred services by an address each.

It is an extra, imported when a message is sent. It tells neither ids nor reasons, and its log may hold addresses: neither is repeated.
"""

from typing import Literal

from holdfast.connect.channels.contract import ChannelDown, ChannelRejected, Message, Reference
from holdfast.connect.channels.words import plain
from holdfast.errors import MissingExtra

TYPES = {"resolved": "success", "acknowledged": "info", "test": "info"}


class Apprise:
    """``url``: apprise's address of the service, a secret."""

    kind: Literal["apprise"] = "apprise"
    settles = 0.0
    repeats = "apprise knows no key: a message of unknown fate is sent again and may arrive twice"

    def __init__(self, name: str, url: str) -> None:
        self.name, self._url = name, url

    def send(self, message: Message, reference: Reference | None = None, *, again: bool = False) -> Reference:
        del again
        sender = self._sender()
        kind = TYPES.get(message.kind, "failure" if message.severity in ("P1", "P2") else "warning")
        try:
            taken = sender.notify(body=plain(message, 20_000, headline=False), title=message.headline, notify_type=kind, body_format="text")
        except (OSError, TypeError, ValueError):
            # No 'from': what a library of a hundred services raises may hold the address.
            taken = False
        if not taken:
            raise ChannelDown(
                f"Apprise could not deliver the message (channel '{self.name}'); it does not say why.",
                hint="Check the address by hand: apprise -v -b test URL. The message is sent again.",
                maybe=True,
                channel=self.name,
            )
        return reference or Reference()

    def check(self) -> str:
        self._sender()
        return "apprise understands the address; only a test message shows whether it is taken"

    def _sender(self) -> "apprise.Apprise":  # type: ignore[name-defined]  # noqa: F821
        try:
            import apprise
        except ImportError:
            raise MissingExtra("apprise", f"Channel '{self.name}'") from None
        # Nothing is kept on disk, and no file of this machine is taken for a plugin.
        asset = apprise.AppriseAsset(app_id="Holdfast", app_desc="Holdfast", app_url="", storage_mode="memory", secure_logging=True)
        sender = apprise.Apprise(asset=asset)
        if not sender.add(self._url):
            raise ChannelRejected(
                f"Apprise knows no service by the address of channel '{self.name}' (it is not repeated here).",
                hint="Write it as in apprise's list of services.",
                channel=self.name,
            )
        return sender
