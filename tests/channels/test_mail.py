"""Mail through a real SMTP server: TLS, passwords, threads, recipients that are refused, servers that die at each point."""

import asyncio
import contextlib
import email
import email.policy
import ssl
import threading

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from holdfast.connect.channels import ChannelDown, ChannelRejected, Message
from holdfast.connect.channels.mail import Mail, Settings
from tests.bucket.test_tls import Authority
from tests.channels.kit import PATIENT, SetClock, message

PASSWORD = "smtp-password-that-is-secret"


class Box:
    """What a server took. ``says``: replies instead of 250, by command ('MAIL', 'ops@…' for a recipient, 'DATA'); 'die' closes."""

    def __init__(self) -> None:
        self.mails: list[tuple[list[str], email.message.EmailMessage]] = []
        self.says: dict[str, str] = {}
        self.users: list[str] = []

    def _reply(self, server, what: str) -> str | None:
        said = self.says.get(what)
        if said == "die":
            server.transport.abort()
            return "421 gone"
        return said

    async def handle_MAIL(self, server, session, envelope, address, mail_options):  # noqa: N802
        said = self._reply(server, "MAIL")
        if said is None:
            envelope.mail_from = address
        return said or "250 OK"

    async def handle_RCPT(self, server, session, envelope, address, rcpt_options):  # noqa: N802
        said = self._reply(server, address)
        if said is None:
            envelope.rcpt_tos.append(address)
        return said or "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        said = self._reply(server, "DATA")
        if said is None or said == "421 gone":
            assert len(max(envelope.content.split(b"\r\n"), key=len)) <= 998
            self.mails.append((envelope.rcpt_tos, email.message_from_bytes(envelope.content, policy=email.policy.default)))
        return said or "250 OK"

    def authenticate(self, server, session, envelope, mechanism, data):
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"holdfast", PASSWORD.encode())
        self.users.append(data.login.decode())
        return AuthResult(success=right, handled=False)


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mail-tls")
    ours = Authority("ours")
    ours.leaf(folder)
    ours.write(folder / "ca.pem")
    Authority("theirs").write(folder / "theirs.pem")
    return folder


@contextlib.contextmanager
def server(authority=None, *, login=False, whole=False):
    box = Box()
    context = None
    if authority is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority / "public.crt", authority / "private.key")
    options = {"authenticator": box.authenticate, "auth_required": True, "auth_require_tls": not whole} if login else {}
    if not whole and context is not None:
        options |= {"tls_context": context, "require_starttls": True}
    loop = asyncio.new_event_loop()
    making = loop.create_server(lambda: SMTP(box, hostname="mx", loop=loop, **options), "127.0.0.1", 0, ssl=context if whole else None)
    listening = loop.run_until_complete(making)
    box.port = listening.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield box
    finally:
        asyncio.run_coroutine_threadsafe(_over(listening), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _over(listening) -> None:
    listening.close()
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def mail(box, authority=None, **more):
    scheme = more.pop("scheme", "smtp")
    given = {"ca": authority / "ca.pem" if authority else None, "insecure": authority is None, "timeout": PATIENT, **more}
    return Mail(
        "mail",
        Settings(f"{scheme}://127.0.0.1:{box.port}", "holdfast@shop.example", ("ops@shop.example", "boss@shop.example"), **given),
        SetClock(),
    )


def shown(error) -> str:
    return f"{error} {error.hint} {error.details} {error!r}"


def test_an_incident_is_one_thread_and_says_what_it_is(authority):
    with server(authority, login=True) as box:
        client = mail(box, authority, user="holdfast", password=PASSWORD)
        reference = client.send(message(to=("ada@shop.example",)), None)
        reference = client.send(message("updated", 2, title="restore runs"), reference)
        client.send(message("resolved", 3, title="it is back"), reference)
        assert box.users == ["holdfast"] * 3
        (to, first), (_, second), (_, third) = box.mails
        assert to == ["ops@shop.example", "boss@shop.example", "ada@shop.example"]
        assert first["Subject"] == "P1 orders-db <lost> & gone (INC-2026-0007)"
        assert first["To"] == "ops@shop.example, boss@shop.example, ada@shop.example"
        assert first["Date"].datetime.isoformat() == "2026-05-01T12:00:00+00:00"
        assert (first["Auto-Submitted"], first["Importance"], first["X-Holdfast-Drill"]) == ("auto-generated", "high", "no")
        assert "Nothing was written since 11:58." in first.get_content()
        root = first["Message-ID"]
        assert root.endswith("@shop.example>")
        assert first["References"] is None
        assert (second["In-Reply-To"], second["References"]) == (root, root)
        assert (third["In-Reply-To"], third["References"]) == (second["Message-ID"], f"{root} {second['Message-ID']}")
        assert reference.ids["message_id"] == root


def test_a_drill_is_marked_in_the_subject():
    with server() as box:
        mail(box).send(message(drill=True), None)
        mail(box).send(message("test", 2, title="does this arrive?", severity="P4"), None)
        [(_, drill), (_, test)] = box.mails
        assert drill["Subject"].startswith("[DRILL] P1 ")
        assert drill["X-Holdfast-Drill"] == "yes"
        assert drill["Importance"] is None
        assert "This is a drill." in drill.get_content()
        assert test["Subject"].startswith("[TEST] P4 does this arrive?")


def test_nobody_adds_a_header_or_a_recipient():
    with server() as box:
        title = "x\r\nBcc: all@shop.example\r\n\r\nbody " + "long " * 400 + "\N{SNOWMAN}"
        mail(box).send(message(title=title, text="first\r\n.\r\nMAIL FROM:<x@y>\r\n" + "w" * 5000), None)
        [(to, found)] = box.mails
        assert to == ["ops@shop.example", "boss@shop.example"]
        assert found["Bcc"] is None
        assert "MAIL FROM:<x@y>" in found.get_content()
        for bad in ("ops@shop.example, all@shop.example", "a\n@b", "nobody", "<x@y>"):
            with pytest.raises(ChannelRejected, match="no mail address"):
                mail(box).send(message(to=(bad,)), None)


def test_a_repetition_has_the_same_identity():
    with server() as box:
        box.says["DATA"] = "die"
        with pytest.raises(ChannelDown) as down:
            mail(box).send(message(), None)
        assert down.value.maybe
        del box.says["DATA"]
        mail(box).send(message(), None, again=True)
        assert len({found["Message-ID"] for _, found in box.mails}) == 1


def test_mail_goes_over_tls_or_not_at_all(authority):
    with server() as plain:
        with pytest.raises(ChannelRejected, match="offers no STARTTLS"):
            mail(plain, insecure=False).send(message(), None)
        assert plain.mails == []
    with server(authority) as box:
        for ca in (authority / "theirs.pem", None):
            with pytest.raises(ChannelDown, match="not believed") as down:
                mail(box, authority, ca=ca).send(message(), None)
            assert not down.value.maybe
        assert box.mails == []
    with server(authority, whole=True) as box:
        mail(box, authority, scheme="smtps").send(message(), None)
        assert len(box.mails) == 1


def test_a_password_that_is_not_taken_is_told_without_it(authority):
    with server(authority, login=True) as box:
        with pytest.raises(ChannelRejected, match="535") as refused:
            mail(box, authority, user="holdfast", password="wrong-" + PASSWORD).send(message(), None)
        assert PASSWORD not in shown(refused.value)
        assert mail(box, authority, user="holdfast", password=PASSWORD).check().endswith("takes the password of holdfast")
        with pytest.raises(ChannelRejected, match="530"):
            mail(box, authority).send(message(), None)
        assert box.mails == []


def test_a_mail_that_is_taken_for_some_is_repeated_for_the_others_alone():
    with server() as box:
        box.says["boss@shop.example"] = "450 greylisted, try again"
        with pytest.raises(ChannelDown, match=r"boss@shop.example: 450 greylisted") as down:
            mail(box).send(message(), None)
        assert not down.value.maybe
        with pytest.raises(ChannelDown) as still:
            mail(box).send(message(), down.value.so_far)
        del box.says["boss@shop.example"]
        reference = mail(box).send(message(), still.value.so_far)
        assert [to for to, _ in box.mails] == [["ops@shop.example"], ["boss@shop.example"]]
        # Everybody sees to whom it went, and the next message goes to all again.
        assert {found["To"] for _, found in box.mails} == {"ops@shop.example, boss@shop.example"}
        assert "told" not in reference.ids
        mail(box).send(message("updated", 2), reference)
        assert box.mails[-1][0] == ["ops@shop.example", "boss@shop.example"]


def test_an_address_that_is_refused_for_good_is_told_and_the_others_have_their_mail():
    with server() as box:
        box.says["boss@shop.example"] = "550 no such user"
        with pytest.raises(ChannelRejected, match=r"no mail for boss@shop.example: 550 no such user, but did for 1"):
            mail(box).send(message(), None)
        assert [to for to, _ in box.mails] == [["ops@shop.example"]]
        box.says["ops@shop.example"] = "550 nor this"
        with pytest.raises(ChannelRejected):
            mail(box).send(message(), None)
        assert len(box.mails) == 1


@pytest.mark.parametrize(
    ("what", "reply", "kind"),
    [
        ("MAIL", "451 later", ChannelDown),
        ("MAIL", "550 never", ChannelRejected),
        ("MAIL", "die", ChannelDown),
        ("ops@shop.example", "die", ChannelDown),
        ("DATA", "452 full", ChannelDown),
        ("DATA", "554 spam", ChannelRejected),
        ("DATA", "die", ChannelDown),
    ],
)
def test_a_server_that_refuses_or_dies_at_any_point(what, reply, kind):
    with server() as box:
        box.says[what] = reply
        with pytest.raises(kind) as failed:
            mail(box).send(message(), None)
        assert failed.value.hint
        if isinstance(failed.value, ChannelDown):
            assert failed.value.maybe == ((what, reply) == ("DATA", "die"))


def test_a_server_that_is_gone_took_nothing():
    with server() as box:
        pass
    with pytest.raises(ChannelDown, match="cannot be reached") as down:
        mail(box).send(message(), None)
    assert not down.value.maybe
    assert mail(box).repeats


def test_a_message_without_anything_more_is_a_mail():
    with server() as box:
        mail(box).send(Message("i", "k", "declared", "a title"), None)
        assert box.mails[0][1]["Date"].datetime == SetClock().now()
