"""Services that are slow, busy, broken, gone, or not what they say they are."""

import contextlib
import socket
import ssl
import threading

import pytest

from holdfast.connect.channels import ChannelDown, ChannelFailed, ChannelRejected
from holdfast.connect.channels.http import Answer, Web, waiting
from tests.bucket.test_tls import Authority
from tests.channels import kit
from tests.channels.kit import arrived, message
from tests.channels.serving import Told

WEB = list(kit.WEB)
KEYLESS = ("slack-webhook",)
"""Where a repetition cannot be told from the first."""


def shown(error) -> str:
    return (
        f"{error} {error.hint} {error.details} {error!r} {error.__cause__!r} {error.__context__ if not error.__suppress_context__ else ''}"
    )


@pytest.fixture(params=WEB)
def scene(request):
    make, connect = kit.WEB[request.param]
    with make() as service:
        yield request.param, service, connect(service)


def test_too_many_requests_waits_as_long_as_it_is_told(scene):
    _, service, client = scene
    service.next = [Told(429, b"slow down", {"Retry-After": "17"})]
    with pytest.raises(ChannelDown, match="429") as down:
        client.send(message(), None)
    assert down.value.after == 17
    assert not down.value.maybe
    assert arrived(service) == []
    client.send(message(), None)
    assert len(arrived(service)) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_a_broken_service_is_tried_again(scene, status):
    _, service, client = scene
    service.next = [Told(status, b"oops")]
    with pytest.raises(ChannelDown, match=str(status)) as down:
        client.send(message(), None)
    assert down.value.maybe
    client.send(message(), None, again=True)
    assert len(arrived(service)) == 1


@pytest.mark.parametrize("fault", ["garbage", "page", "cut", "die-before", Told(200, {"unexpected": []}), Told(201, b"[]")])
def test_nonsense_is_an_error_that_says_so_and_is_tried_again(scene, fault):
    name, service, client = scene
    service.next = [fault]
    if name == "webhook" and (fault == "page" or isinstance(fault, Told)):
        # A webhook's answer has no format: whatever answers 2xx took the message.
        client.send(message(), None)
        return
    with pytest.raises(ChannelFailed) as failed:
        client.send(message(), None)
    assert not any(secret in shown(failed.value) for secret in kit.SECRETS)
    if isinstance(failed.value, ChannelDown):
        client.send(message(), None, again=True)
        assert len(arrived(service)) in ((1, 2) if name in KEYLESS else (1,))


def test_a_service_that_takes_a_message_and_dies_before_its_answer_gets_it_once(scene):
    name, service, client = scene
    if name in KEYLESS:
        assert "may stand there twice" in client.repeats
        return
    reference = client.send(message(), None)
    told = [message("updated", number, title=f"step {number}") for number in (2, 3, 4, 5, 6)]
    for one in told:
        # Every request of the message in turn dies after it was carried out.
        for place in range(4):
            service.next = [None] * place + ["die-after"]
            with contextlib.suppress(ChannelDown):
                reference = client.send(one, reference, again=place > 0)
            service.next = []
        reference = client.send(one, reference, again=True)
    wanted = [one.headline if name == "pagerduty" else one.key for one in (message(), *told)]
    assert arrived(service) == wanted


@pytest.mark.parametrize("name", ["jira-cloud", "jira-server", "servicenow", "slack", "pagerduty", "webhook"])
def test_the_first_message_is_not_doubled_either_though_nothing_is_known_of_it(name):
    make, connect = kit.WEB[name]
    with make() as service:
        client = connect(service)
        for place in range(4):
            service.next = [None] * place + ["die-after"]
            try:
                client.send(message(), None, again=place > 0)
            except ChannelDown:
                continue
        service.next = []
        reference = client.send(message(), None, again=True)
        client.send(message("updated", 2, title="go on"), reference)
        assert len(arrived(service)) == 2


def test_a_bot_that_may_not_look_posts_twice_rather_than_not_at_all():
    make, connect = kit.WEB["slack"]
    with make() as service:
        service.rights = {"chat:write"}
        service.next = ["die-after"]
        with pytest.raises(ChannelDown):
            connect(service).send(message(), None)
        connect(service).send(message(), None, again=True)
        assert len(service.posted) == 2
        assert "may stand there twice" in connect(service).repeats


def test_an_issue_that_the_search_does_not_show_yet_is_told_as_possible():
    make, connect = kit.WEB["jira-cloud"]
    with make() as service:
        client = connect(service)
        assert client.settles > 0
        assert "may be made twice" in client.repeats


@pytest.mark.parametrize("name", WEB)
def test_redirects_are_not_followed_with_credentials(name):
    make, connect = kit.WEB[name]
    with make() as service, make() as elsewhere:
        service.always = Told(307, b"", {"Location": f"{elsewhere.url}/stolen?x=1"})
        with pytest.raises(ChannelRejected, match="307") as refused:
            connect(service).send(message(), None)
        assert elsewhere.asked == []
        assert "points elsewhere" in refused.value.hint


@pytest.mark.parametrize("name", WEB)
@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
def test_a_refusal_is_told_without_a_secret(name, status):
    make, connect = kit.WEB[name]
    with make() as service:
        service.always = Told(status, b"no")
        with pytest.raises(ChannelRejected, match=str(status)) as refused:
            connect(service).send(message(), None)
        assert service.host in str(refused.value)
        assert not any(secret in shown(refused.value) for secret in kit.SECRETS)
        assert refused.value.hint


def test_a_service_that_never_answers_is_left_in_time():
    for name in WEB:
        make, connect = kit.WEB[name]
        with make() as service:
            service.always = "slow"
            with pytest.raises(ChannelDown, match=r"did not answer within 0.2 s") as down:
                connect(service, timeout=0.2).send(message(), None)
            assert down.value.maybe


def test_an_answer_that_drips_is_cut_when_the_time_is_over():
    """Each byte comes in time, all of them never would."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def drip():
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                try:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{")
                    while not over.wait(0.02):
                        connection.sendall(b" ")
                except OSError:
                    pass

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            with pytest.raises(ChannelDown, match=r"within 0.5 s"):
                Web("alerts", 0.5).ask("GET", f"http://127.0.0.1:{server.getsockname()[1]}/")
        finally:
            over.set()
            thread.join()


def test_a_service_that_is_not_there_took_nothing():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ChannelDown, match="cannot be reached") as down:
        Web("alerts").ask("GET", f"http://127.0.0.1:{port}/secret/path")
    assert not down.value.maybe
    assert "secret" not in shown(down.value)


@pytest.mark.parametrize("token", ["line\nend", "sn\N{SNOWMAN}w", "a\x00b"])
def test_a_token_that_no_header_can_carry_is_told_without_it(token):
    with pytest.raises(ChannelRejected, match="cannot carry") as refused:
        Web("alerts").ask("GET", "http://127.0.0.1:9/", headers={"Authorization": f"Bearer {token}"})
    assert token not in shown(refused.value)


@pytest.mark.parametrize("address", ["ftp://x/y", "hooks.slack.com/services/x", "http://", "", "https://[::1/x", "http://h/ü secret"])
def test_an_address_that_is_none_is_told_without_it(address):
    with pytest.raises(ChannelFailed) as refused:
        Web("alerts", 1.0).ask("GET", address)
    assert not address or address not in shown(refused.value)


def test_the_plans_own_authority_is_believed_and_no_other(tmp_path):
    ours, theirs = Authority("ours"), Authority("theirs")
    ours.leaf(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "public.crt", tmp_path / "private.key")
    make, connect = kit.WEB["pagerduty"]
    with make(context) as service:
        connect(service, ca=ours.write(tmp_path / "ours.pem")).send(message(), None)
        for ca in (theirs.write(tmp_path / "theirs.pem"), None):
            with pytest.raises(ChannelDown, match="not believed") as down:
                connect(service, ca=ca).send(message(), None)
            assert not down.value.maybe
        for broken in (tmp_path / "missing.pem", tmp_path / "private.key"):
            with pytest.raises(ChannelRejected, match="cannot be read"):
                connect(service, ca=broken).send(message(), None)
        assert len(service.asked) == 1


def test_a_proxy_of_the_environment_is_used(monkeypatch):
    make, _ = kit.WEB["pagerduty"]
    with make() as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.delenv("no_proxy", raising=False)
        client = kit.PagerDuty(kit.web(), kit.pager_service.KEY, url="http://events.pagerduty.invalid/v2/enqueue")
        client.send(message(), None)
        assert proxy.asked[0].headers["host"] == "events.pagerduty.invalid"


def test_how_long_to_wait_is_read_as_the_standard_says():
    date = "Fri, 01 May 2026 12:00:00 GMT"
    for given, wanted in {
        "5": 5.0,
        "0": 0.0,
        "999999999999": 3600.0,
        "Fri, 01 May 2026 12:00:30 GMT": 30.0,
        "Fri, 01 May 2026 11:00:00 GMT": 0.0,
        "soon": None,
        "": None,
        "-3": None,
        "٣": None,
    }.items():
        assert waiting(Answer(429, {"retry-after": given, "date": date})) == wanted, given
    assert waiting(Answer(429, {"retry-after": "Fri, 01 May 2026 12:00:30 GMT"})) is None
