"""Webhooks: what is sent, where it may go, and what an answer means."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import json
import logging
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from service.problems import Code, ProblemError
from service.settings import Settings
from service.work import webhooks
from service.work.webhooks import Outcome, Verdict, check_url, is_public, payload, wait
from tests.service.receiver import TLS, Answer, Receiver, receive

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
STRICT = Settings(webhook_secret=SecretStr(SECRET))
OPEN = Settings(webhook_secret=SecretStr(SECRET), webhook_private_addresses=True)
BODY = payload("a1", "succeeded", 1.7e9, {})
PUBLIC = "93.184.215.14"


def deliver(
    url: str,
    settings: Settings = OPEN,
    *,
    addresses: Sequence[str] = (),
    transport: httpx.AsyncBaseTransport | None = None,
) -> Outcome:
    """One attempt now; with `addresses` every name means these."""
    resolve = Names(addresses) if addresses else None
    return asyncio.run(
        webhooks.deliver(url, "msg_1", time.time(), BODY, settings, resolve=resolve, transport=transport)
    )


class Names:
    """A resolver that answers the same to everything, and then something else."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, int]] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append((host, port))
        return self.answers.pop(0)


class Wire(httpx.AsyncBaseTransport):
    """Where connections would have gone; some addresses take none."""

    def __init__(self, *silent: str) -> None:
        self.silent = silent
        self.requests: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.url.host in self.silent:
            raise httpx.ConnectError("no route")
        return httpx.Response(200)


# ------------------------------------------------------------------ what is sent


def test_the_receiver_can_verify_what_arrives() -> None:
    with receive() as receiver:
        assert deliver(receiver.url()).verdict is Verdict.DELIVERED
    [delivery] = receiver.deliveries
    assert Webhook(SECRET).verify(delivery.body, delivery.headers) == json.loads(BODY)
    assert delivery.headers["webhook-id"] == "msg_1"
    assert delivery.headers["content-type"] == "application/json"
    assert delivery.headers["host"] == f"127.0.0.1:{receiver.server_port}"
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(delivery.body.replace(b"succeeded", b"cancelled"), delivery.headers)


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md."""
    headers = webhooks.sign(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330.9,
        b'{"test": 2432232314}',
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    )
    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_the_body_says_which_job_ended_and_how_and_when() -> None:
    assert json.loads(payload("a1", "failed", 1700000000.25, {"épisode": "7"})) == {
        "type": "job.failed",
        "timestamp": "2023-11-14T22:13:20.250Z",
        "data": {"id": "a1", "state": "failed", "metadata": {"épisode": "7"}},
    }


def test_without_a_secret_nothing_is_sent() -> None:
    with receive() as receiver:
        outcome = deliver(receiver.url(), Settings(webhook_private_addresses=True))
    assert outcome.verdict is Verdict.GIVEN_UP
    assert receiver.deliveries == []


def test_proxies_of_the_environment_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with receive() as receiver, receive() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url(path=""))
        assert deliver(receiver.url()).verdict is Verdict.DELIVERED
    assert len(receiver.deliveries) == 1
    assert proxy.deliveries == []


def test_the_url_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), receive() as receiver:
        deliver(receiver.url(path="/hook?token=canary"))
    assert receiver.deliveries[0].path == "/hook?token=canary"
    assert "canary" not in caplog.text


# ------------------------------------------------------------------ what an answer means


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(200, Verdict.DELIVERED), (202, Verdict.DELIVERED), (204, Verdict.DELIVERED), (410, Verdict.GIVEN_UP)]
    + [(status, Verdict.RETRY) for status in (301, 307, 400, 401, 404, 408, 409, 425, 429, 500, 502, 503)],
)
def test_statuses(status: int, verdict: Verdict) -> None:
    with receive() as receiver:
        receiver.answers.append(Answer(status, {"Content-Length": "0"}))
        outcome = deliver(receiver.url())
    assert outcome.verdict is verdict
    assert f"answered {status}" in outcome.reason


def test_redirects_are_not_followed() -> None:
    with receive() as receiver, receive() as elsewhere:
        receiver.answers.append(Answer(307, {"Location": elsewhere.url(), "Content-Length": "0"}))
        assert deliver(receiver.url()).verdict is Verdict.RETRY
    assert elsewhere.deliveries == []


def test_nobody_listening_is_tried_again() -> None:
    with receive() as receiver:
        url = receiver.url()
    outcome = deliver(url)
    assert (outcome.verdict, outcome.reason) == (Verdict.RETRY, "ConnectError")


def test_an_endless_body_is_not_read() -> None:
    with receive() as receiver:
        receiver.answers.append(Answer(200, body_blocks=16384))
        assert deliver(receiver.url()).verdict is Verdict.DELIVERED
        assert receiver.closed_early.wait(60)
    assert receiver.blocks_sent < 16384


def test_an_answer_that_does_not_come_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "DEADLINE", 0.3)
    hold = threading.Event()
    with receive() as receiver:
        receiver.answers.append(Answer(hold=hold))
        outcome = deliver(receiver.url())
        hold.set()
    assert (outcome.verdict, outcome.reason) == (Verdict.RETRY, "no answer in time")


def test_the_receiver_says_when_to_come_back() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    with receive() as receiver:
        receiver.answers += [
            Answer(503, {"Retry-After": value, "Content-Length": "0"}) for value in ("120", later, "soon")
        ]
        waited = [deliver(receiver.url()).retry_after for _ in range(3)]
    assert waited[0] == 120
    assert 3000 < waited[1] <= 3600
    assert waited[2] == 0


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d\d? [A-Z][a-z]{2} \d{1,5} \d\d:\d\d:\d\d [+-]?\w{1,5}"))
@example("99999999999999999999")
@example("-1")
@example("Mon, 20 Nov 1995 19:12:08 -0500")
@example("Fri, 31 Dec 9999 23:59:59 -2359")
def test_any_retry_after_is_a_bounded_wait(value: str) -> None:
    assert 0 <= webhooks._seconds(value) <= webhooks.LONGEST_RETRY_AFTER


@given(st.integers(1, 30), st.integers())
def test_waits_grow_from_seconds_to_hours(attempts: int, seed: int) -> None:
    for number, expected in enumerate([5, 30, 180, 1080, 6480, *[21600] * 30][:attempts]):
        waited = wait(number, Random(seed))
        assert 0.8 * expected <= waited <= 1.2 * expected
        assert waited == wait(number, Random(seed))


def test_two_jobs_do_not_knock_at_the_same_moment() -> None:
    assert wait(0, Random(1)) != wait(0, Random(2))


# ------------------------------------------------------------------ where it may go

# IANA's registries of special addresses (iana-ipv4-special-registry, iana-ipv6-special-registry), multicast,
# and everything outside of the one block of IPv6 from which addresses are given out.
_SPECIAL_4 = """
0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24
192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4
"""
_SPECIAL_6 = "::/3 2001::/23 2001:db8::/32 2002::/16 3fff::/20 4000::/2 8000::/1"
SPECIAL = [*_SPECIAL_4.split(), *_SPECIAL_6.split()]
SPECIAL_NETWORKS = [ipaddress.ip_network(block) for block in SPECIAL]


def inside(block: str) -> st.SearchStrategy[str]:
    network = ipaddress.ip_network(block)
    return st.integers(0, network.num_addresses - 1).map(lambda index: str(network[index]))


@given(st.sampled_from(SPECIAL).flatmap(inside))
@example("127.0.0.1")
@example("169.254.169.254")
@example("::1")
@example("::")
@example("::ffff:8.8.8.8")
@example("2002:7f00:1::")
@example("64:ff9b::127.0.0.1")
@example("64:ff9b:1::1")
@example("2001:0:7f00:1::")
@example("fd00::1")
@example("fe80::1%eth0")
@example("2606:4700::1%eth0")
@example("ff0e::1")
@example("255.255.255.255")
@example("no address")
@example("127.1")
def test_special_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@given(st.ip_addresses(v=4) | inside("2000::/3").map(ipaddress.ip_address))
@example(ipaddress.ip_address("8.8.8.8"))
@example(ipaddress.ip_address("2606:4700::1111"))
def test_all_other_addresses_are(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    special = any(address in network for network in SPECIAL_NETWORKS)
    assert is_public(str(address)) != special


def test_the_connection_goes_to_the_checked_address_under_the_name() -> None:
    wire = Wire()
    outcome = deliver("https://Hooks.Example.org:8443/a?b=c#d", STRICT, addresses=[PUBLIC], transport=wire)
    assert outcome.verdict is Verdict.DELIVERED
    [request] = wire.requests
    assert str(request.url) == f"https://{PUBLIC}:8443/a?b=c"
    assert request.headers["host"] == "hooks.example.org:8443"
    assert request.extensions["sni_hostname"] == "hooks.example.org"


def test_a_name_that_changes_its_meaning_changes_nothing() -> None:
    """DNS rebinding: public when it is checked, this machine a moment later."""
    names, wire = Names([PUBLIC], ["127.0.0.1"]), Wire()
    attempt = webhooks.deliver(
        "http://rebinding.example/", "msg_1", time.time(), BODY, STRICT, resolve=names, transport=wire
    )
    assert asyncio.run(attempt).verdict is Verdict.DELIVERED
    assert names.asked == [("rebinding.example", 80)]
    assert [request.url.host for request in wire.requests] == [PUBLIC]


@pytest.mark.parametrize("addresses", [["127.0.0.1"], [PUBLIC, "10.0.0.1"], ["::1", PUBLIC]])
def test_one_address_that_is_not_public_is_enough_to_refuse(addresses: list[str]) -> None:
    wire = Wire()
    outcome = deliver("http://hooks.example.org/", STRICT, addresses=addresses, transport=wire)
    assert outcome == Outcome(Verdict.GIVEN_UP, "its address is not public")
    assert wire.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "127.1", "2130706433", "0x7f.1", "localhost", "0"])
def test_this_machine_is_refused_under_all_its_names(host: str) -> None:
    with receive() as receiver:
        outcome = deliver(receiver.url(host), STRICT)
        with pytest.raises(ProblemError):
            check_url(receiver.url(host), STRICT)
    assert outcome.verdict is Verdict.GIVEN_UP
    assert receiver.deliveries == []


def test_the_next_address_is_tried_where_the_first_takes_no_connection() -> None:
    wire = Wire("2606:4700::1")
    outcome = deliver("http://hooks.example.org/", STRICT, addresses=["2606:4700::1", PUBLIC], transport=wire)
    assert outcome.verdict is Verdict.DELIVERED
    assert [request.url.host for request in wire.requests] == ["2606:4700::1", PUBLIC]


@pytest.mark.parametrize("addresses", [[], ["::g"], [PUBLIC] * 100])
def test_odd_answers_of_a_name_server_are_survived(addresses: list[str]) -> None:
    wire = Wire(PUBLIC)
    attempt = webhooks.deliver(
        "http://odd.example/", "msg_1", time.time(), BODY, OPEN, resolve=Names(addresses), transport=wire
    )
    assert asyncio.run(attempt).verdict is Verdict.RETRY
    assert len(wire.requests) <= webhooks.ADDRESSES_TRIED


def test_a_name_that_nobody_knows_is_tried_again() -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("no such host")

    attempt = webhooks.deliver("http://gone.example/", "msg_1", 0.0, BODY, STRICT, resolve=unknown)
    assert asyncio.run(attempt).verdict is Verdict.RETRY


# ------------------------------------------------------------------ TLS


def trusting() -> httpx.AsyncHTTPTransport:
    """As the product's, but with the certificate of the tests among the authorities."""
    return httpx.AsyncHTTPTransport(verify=ssl.create_default_context(cafile=str(TLS / "certificate.pem")))


@pytest.fixture(scope="module")
def secure() -> Iterator[Receiver]:
    with receive(secure=True) as receiver:
        yield receiver


def test_the_certificate_is_checked_for_the_name(secure: Receiver) -> None:
    url = secure.url("hooks.example.org")
    assert deliver(url, addresses=["127.0.0.1"], transport=trusting()).verdict is Verdict.DELIVERED


def test_a_certificate_for_another_name_is_refused(secure: Receiver) -> None:
    secure.deliveries.clear()
    url = secure.url("other.example.org")
    assert deliver(url, addresses=["127.0.0.1"], transport=trusting()).verdict is Verdict.RETRY
    assert secure.deliveries == []


def test_a_certificate_that_nobody_vouches_for_is_refused(secure: Receiver) -> None:
    secure.deliveries.clear()
    url = secure.url("hooks.example.org")
    assert deliver(url, addresses=["127.0.0.1"]).verdict is Verdict.RETRY
    assert secure.deliveries == []


# ------------------------------------------------------------------ URLs


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.org/turnwise?x=1",
        "http://a_b.example",
        "https://bücher.example/",
        "HTTPS://EXAMPLE.ORG:8443",
        "http://93.184.215.14/",
        "http://[2606:4700::1111]:80/",
        "http://example.org./",
    ],
)
def test_urls_that_are_taken(url: str) -> None:
    check_url(url, STRICT)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.example.org",
        "//hooks.example.org/",
        "ftp://hooks.example.org/",
        "file:///etc/passwd",
        "gopher://hooks.example.org/",
        "http:///hook",
        "http://user:password@hooks.example.org/",
        "http://hooks.example.org\\@127.0.0.1/",
        "http://hooks.example.org:0/",
        "http://hooks.example.org:99999/",
        "http://hooks.example.org:port/",
        "http://hooks.example.org/\r\nX: y",
        "http://hooks example.org/",
        "http://%31%32%37.0.0.1/",
        "http://[fe80::1%25eth0]/",
        "http://[::1",
        "http://.../",
        "http://-a.example/",
        f"http://{'a' * 64}.example/",
        f"http://hooks.example.org/{'a' * 3000}",
        "http://\udc80.example/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:10.0.0.1]/",
        "http://printer.localhost/",
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(ProblemError) as caught:
        check_url(url, STRICT)
    assert caught.value.code is Code.INVALID
    wire = Wire()
    assert deliver(url, STRICT, addresses=["127.0.0.1"], transport=wire).verdict is Verdict.GIVEN_UP
    assert wire.requests == []


def test_private_addresses_are_taken_where_they_are_allowed() -> None:
    check_url("http://10.0.0.1/", OPEN)


def test_a_url_is_refused_where_webhooks_are_not_set_up() -> None:
    with pytest.raises(ProblemError, match="TURNWISE_WEBHOOK_SECRET"):
        check_url("https://hooks.example.org/", Settings())


LABELS = st.lists(st.sampled_from(["xn--", "a", "ß", "-", "1", "é", "\u3002", "\u200d", ".", "%", "[", ":"]))


@given(
    st.text()
    | st.text().map(lambda rest: f"http://{rest}")
    | st.text().map(lambda rest: f"https://a{rest}")
    | LABELS.map(lambda labels: f"http://{''.join(labels)}/")
)
@example("http://xn--a.com/")
@example("http://xn--/")
def test_any_text_is_taken_or_refused_as_invalid(url: str) -> None:
    try:
        check_url(url, STRICT)
    except ProblemError as error:
        code = error.code
    else:
        host = httpx.URL(url).raw_host.decode("ascii")
        assert host
        assert not set(host) & set("@/\\?# %")
        return
    assert code is Code.INVALID
