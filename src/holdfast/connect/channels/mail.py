"""E-mail by SMTP (RFC 5321) with STARTTLS (RFC 3207) or TLS from the start (RFC 8314); threads by References (RFC 5322, 3.6.4).

A repetition has the same Message-ID, so that mail programs and some servers drop it. Recipients are told one by one which of them were
taken, so that a mail that was taken for some is repeated for the others only.
"""

import datetime as dt
import hashlib
import re
import smtplib
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from holdfast.connect.channels.contract import ChannelDown, ChannelFailed, ChannelRejected, Message, Reference
from holdfast.connect.channels.words import plain
from holdfast.model import Clock

ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+")


@dataclass(frozen=True, slots=True)
class Settings:
    """``url``: smtp://host[:port] (STARTTLS) or smtps://host[:port]; ``insecure``: without TLS where the server offers none."""

    url: str
    sender: str
    to: tuple[str, ...]
    user: str | None = None
    password: str | None = None
    insecure: bool = False
    timeout: float = 15.0
    ca: Path | None = None


class Mail:
    """One mail for each message, to the channel's addresses and the message's own."""

    kind: Literal["email"] = "email"
    settles = 0.0
    repeats = "a repetition has the same Message-ID, which mail programs show once; not all of them do"

    def __init__(self, name: str, settings: Settings, clock: Clock) -> None:
        self.name, self._set, self._clock = name, settings, clock

    def send(self, message: Message, reference: Reference | None = None, *, again: bool = False) -> Reference:
        del again
        identity = self._identity(message.key)
        done = (reference.ids.get("told", "") if reference and reference.ids.get("telling") == message.key else "").split()
        ids = {name: value for name, value in (reference.ids if reference else {}).items() if name not in ("told", "telling")}
        whom = [one for one in dict.fromkeys((*self._set.to, *message.to)) if one not in done]
        data = self._written(message, identity, ids, whom=(*done, *whom)).as_bytes(policy=SMTP)
        after = Reference({**ids, "message_id": ids.get("message_id", identity), "last": identity}, reference.url if reference else "")
        try:
            took, later, never = self._deliver(data, whom)
        except ChannelFailed as error:
            if done:
                error.so_far = Reference({**ids, "told": " ".join(done), "telling": message.key})
            raise
        so_far = after.also(told=" ".join((*done, *took)), telling=message.key)
        if later:
            said = "; ".join(f"{one}: {why}" for one, why in later.items())
            raise ChannelDown(
                f"{self._host} does not take the mail for {said} yet (channel '{self.name}').",
                hint="It is sent again to them.",
                so_far=so_far if took or done else None,
                channel=self.name,
            )
        if never:
            said = "; ".join(f"{one}: {why}" for one, why in never.items())
            others = f", but did for {len(took) + len(done)} other(s)" if took or done else ""
            raise ChannelRejected(
                f"{self._host} took no mail for {said}{others} (channel '{self.name}').",
                hint="Correct the addresses in the plan.",
                so_far=so_far if took or done else None,
                channel=self.name,
            )
        return after

    def check(self) -> str:
        server = self._connected()
        try:
            self._took(server.noop())
        finally:
            _leave(server)
        return f"{self._host} answers" + (f" and takes the password of {self._set.user}" if self._set.user else "")

    @property
    def _host(self) -> str:
        return urlsplit(self._set.url).netloc

    def _identity(self, key: str) -> str:
        domain = self._set.sender.rpartition("@")[2]
        return f"<holdfast.{hashlib.sha256(f'{self.name}/{key}'.encode()).hexdigest()[:32]}@{domain}>"

    def _written(self, message: Message, identity: str, ids: dict[str, str], whom: tuple[str, ...]) -> EmailMessage:
        bad = next((one for one in whom if not ADDRESS.fullmatch(one)), None)
        if bad is not None:
            raise ChannelRejected(f"'{bad}' is no mail address (channel '{self.name}').", hint="Correct it in the plan.")
        mail = EmailMessage(policy=SMTP)
        mail["Subject"] = message.headline + (f" ({message.incident})" if message.incident not in message.headline else "")
        mail["From"], mail["To"], mail["Message-ID"] = self._set.sender, ", ".join(whom), identity
        mail["Date"] = format_datetime(_moment(message.at) or self._clock.now())
        root = ids.get("message_id")
        if root and root != identity:
            last = ids.get("last", root)
            mail["In-Reply-To"] = last
            mail["References"] = root if last == root else f"{root} {last}"
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Holdfast-Incident"], mail["X-Holdfast-Message"], mail["X-Holdfast-Kind"] = message.incident, message.key, message.kind
        mail["X-Holdfast-Drill"] = "yes" if message.drill else "no"
        if message.severity in ("P1", "P2") and not message.drill:
            mail["Importance"] = "high"
        mail.set_content(plain(message, 1_000_000))
        return mail

    def _deliver(self, data: bytes, whom: list[str]) -> tuple[list[str], dict[str, str], dict[str, str]]:
        """(taken for, not yet, never): addresses, with the server's words."""
        took: list[str] = []
        later: dict[str, str] = {}
        never: dict[str, str] = {}
        server = self._connected()
        sent = False
        try:
            self._took(server.mail(self._set.sender))
            for one in whom:
                code, words = server.rcpt(one)
                if 200 <= code < 300:
                    took.append(one)
                else:
                    (later if 400 <= code < 500 else never)[one] = f"{code} {_text(words)}"
            if took:
                sent = True
                self._took(server.data(data))
        except smtplib.SMTPDataError as error:
            raise self._judged(error.smtp_code, error.smtp_error) from None
        except UnicodeEncodeError:
            raise ChannelRejected(f"An address of channel '{self.name}' is not ASCII, which {self._host} cannot take.") from None
        except (smtplib.SMTPException, OSError) as error:
            # Cut before the data was accepted or after: only the server knows.
            raise self._down(error, maybe=sent) from None
        finally:
            _leave(server)
        return took, later, never

    def _connected(self) -> smtplib.SMTP:
        """Raises ChannelDown and ChannelRejected; the password goes through TLS or not at all."""
        parts = urlsplit(self._set.url)
        host, whole = parts.hostname or "", parts.scheme == "smtps"
        try:
            context = ssl.create_default_context(cafile=str(self._set.ca) if self._set.ca else None)
        except OSError as error:
            raise ChannelRejected(
                f"The authorities of channel '{self.name}' in {self._set.ca} cannot be read: {error.strerror or 'no PEM file'}.",
                hint="Correct the channel's ca:.",
            ) from None
        server: smtplib.SMTP | None = None
        try:
            if whole:
                server = smtplib.SMTP_SSL(host, parts.port or 465, timeout=self._set.timeout, context=context)
            else:
                server = smtplib.SMTP(host, parts.port or 587, timeout=self._set.timeout)
            server.ehlo_or_helo_if_needed()
            if not whole and server.has_extn("starttls"):
                self._took(server.starttls(context=context))
                server.ehlo()
            elif not whole and not self._set.insecure:
                raise ChannelRejected(
                    f"{self._host} offers no STARTTLS (channel '{self.name}').",
                    hint="Use smtps://, or write insecure: true if mail may go in clear.",
                    channel=self.name,
                )
            if self._set.user is not None and self._set.password is not None:
                server.login(self._set.user, self._set.password)
        except smtplib.SMTPAuthenticationError as error:
            _leave(server)
            raise self._judged(error.smtp_code, b"the user or the password is not accepted") from None
        except smtplib.SMTPResponseException as error:
            _leave(server)
            raise self._judged(error.smtp_code, error.smtp_error) from None
        except smtplib.SMTPNotSupportedError:
            _leave(server)
            raise ChannelRejected(f"{self._host} takes no password here (channel '{self.name}').", hint="Leave user: out.") from None
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            _leave(server)
            raise self._down(error, maybe=False) from None
        except ChannelFailed:
            _leave(server)
            raise
        return server

    def _took(self, reply: tuple[int, bytes]) -> None:
        code, words = reply
        if not 200 <= code < 300:
            raise self._judged(code, words)

    def _judged(self, code: int, words: bytes | str) -> ChannelFailed:
        text = f"{self._host} answered {code} {_text(words)} (channel '{self.name}')."
        if 400 <= code < 500:
            return ChannelDown(text, hint="The mail is sent again.", channel=self.name)
        return ChannelRejected(text, hint="Correct the channel in the plan, then: holdfast incident outbox --retry.", channel=self.name)

    def _down(self, error: Exception, *, maybe: bool) -> ChannelDown:
        if isinstance(error, TimeoutError):
            why = f"did not answer within {self._set.timeout:g} s"
        elif isinstance(error, ssl.SSLCertVerificationError):
            why = f"shows a certificate that is not believed ({error.verify_message})"
        elif isinstance(error, smtplib.SMTPServerDisconnected):
            why = "closed the connection"
        else:
            why = f"cannot be reached: {getattr(error, 'strerror', None) or type(error).__name__}"
        hint = "The mail is sent again; it may have arrived." if maybe else "The mail waits and is sent again."
        return ChannelDown(f"{self._host} {why} (channel '{self.name}').", hint=hint, maybe=maybe, channel=self.name)


def _leave(server: smtplib.SMTP | None) -> None:
    """Not politely: a QUIT that hangs would hold up what is said already."""
    if server is not None:
        server.close()


def _text(words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return " ".join(text.split())[:200]


def _moment(text: str) -> dt.datetime | None:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else None
