"""Who may talk to a server without keys."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.api.guard import check_request, is_loopback
from service.problems import Code, ProblemError
from service.settings import Settings

PLAIN = Settings()
PUBLISHED = Settings(
    public_url="https://turnwise.example.org/app", cors_origins=("https://desk.example.org",)
)


def refused(
    method: str = "GET", settings: Settings = PLAIN, path: str = "/v1/jobs", /, **headers: str | list[str]
) -> bool:
    """Whether a request is forbidden; a list sends a header more than once."""
    sent = [
        (name.replace("_", "-").encode(), value.encode("latin-1"))
        for name, values in headers.items()
        for value in ([values] if isinstance(values, str) else values)
    ]
    try:
        check_request(method, path, sent, settings)
    except ProblemError as error:
        code = error.code
    else:
        return False
    assert code is Code.FORBIDDEN
    return True


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.8.9.10", "::1", "[::1]", "localhost", "LocalHost", "localhost.", "::ffff:127.0.0.1"],
)
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "0.0.0.0",
        "::",
        "10.0.0.1",
        "::ffff:10.0.0.1",
        "example.org",
        "localhost.example.org",
        "127.0.0.1.nip.io",
        "notlocalhost",
        "127.1",
        "0x7f.1",
        "fe80::1",
    ],
)
def test_everything_else_is_not(host: str) -> None:
    assert not is_loopback(host)


@given(st.ip_addresses())
@example(ipaddress.ip_address("::1"))
@example(ipaddress.ip_address("127.255.255.255"))
@example(ipaddress.ip_address("128.0.0.0"))
def test_an_address_is_loopback_where_the_standards_say_so(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    blocks = map(ipaddress.ip_network, ("127.0.0.0/8", "::1/128", "::ffff:127.0.0.0/104"))
    assert is_loopback(str(address)) == any(address in block for block in blocks)


@pytest.mark.parametrize(
    "host", ["localhost:8000", "127.0.0.1:8000", "[::1]:8000", "localhost", "LOCALHOST:49152"]
)
def test_programs_of_this_machine_are_answered(host: str) -> None:
    assert not refused("GET", host=host)
    assert not refused("POST", host=host)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:8000",
        "localhost.evil.example",
        "10.0.0.1",
        "turnwise.example.org",
        "",
        "localhost:8000:1",
        "localhost@evil.example",
        "evil.example/localhost",
        "localhost:",
        "[localhost",
        "ex\xe4mple",
    ],
)
def test_a_name_that_merely_leads_here_is_refused(host: str) -> None:
    """DNS rebinding: the page's own name means 127.0.0.1 by now, and the browser takes us for its server."""
    assert refused("GET", host=host)
    assert refused("GET", host=host, sec_fetch_site="same-origin")


def test_no_host_and_two_hosts_are_refused() -> None:
    assert refused("GET")
    assert refused("GET", host=["localhost", "localhost"])
    assert refused("GET", host=["localhost", "evil.example"])


def test_the_public_url_names_a_host_too() -> None:
    assert not refused("GET", PUBLISHED, host="turnwise.example.org")
    assert not refused("GET", PUBLISHED, host="Turnwise.example.org:443")
    assert not refused("POST", PUBLISHED, host="turnwise.example.org", origin="https://turnwise.example.org")
    assert refused("GET", PUBLISHED, host="example.org")
    assert not refused("GET", Settings(public_url="http://[2001:db8::1]:8000"), host="[2001:db8::1]:8000")


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "PUT", "BREW"])
def test_what_pages_of_others_send_is_refused(method: str) -> None:
    here = "127.0.0.1:8000"
    assert refused(method, host=here, sec_fetch_site="cross-site", origin="https://evil.example")
    assert refused(method, host=here, sec_fetch_site="cross-site")
    assert refused(method, host=here, origin="https://evil.example")
    assert refused(method, host=here, origin="null")
    assert refused(method, host=here, origin="")
    assert refused(method, host=here, origin=["http://127.0.0.1:8000", "https://evil.example"])
    assert refused(method, host=here, sec_fetch_site=["same-origin", "cross-site"])


def test_another_port_of_this_machine_is_another_origin() -> None:
    assert refused("POST", host="localhost:8000", origin="http://localhost:3000")
    assert refused("POST", host="localhost:8000", origin="http://localhost:3000", sec_fetch_site="same-site")


def test_our_own_pages_and_programs_may_send() -> None:
    here = "127.0.0.1:8000"
    assert not refused("POST", host=here, sec_fetch_site="same-origin", origin=f"http://{here}")
    assert not refused("POST", host=here, sec_fetch_site="none")
    assert not refused("POST", host=here, origin=f"http://{here}")
    assert not refused("POST", host="Localhost:8000", origin="http://localhost:8000")
    assert not refused("POST", host=here)


def test_origins_that_the_settings_name_may_send() -> None:
    desk = "https://desk.example.org"
    assert not refused("POST", PUBLISHED, host="localhost", origin=desk, sec_fetch_site="cross-site")
    assert refused("POST", PUBLISHED, host="localhost", origin=f"{desk}:444", sec_fetch_site="cross-site")
    assert refused("POST", PUBLISHED, host="evil.example", origin=desk)
    assert refused("POST", PUBLISHED, host="localhost", sec_fetch_site="cross-site")


HERE, EVIL, DESK = "localhost:8000", "https://evil.example", "https://desk.example.org"


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("mode", ["cors", "no-cors", "websocket", ""])
def test_pages_of_others_read_nothing(method: str, site: str, mode: str) -> None:
    said = {"sec_fetch_mode": mode} if mode else {}
    assert refused(method, host=HERE, sec_fetch_site=site, **said)
    assert refused(method, host=HERE, sec_fetch_site=site, origin=EVIL, **said)
    assert refused(method, host=HERE, origin=EVIL, **said)  # an old browser
    assert refused(method, host=HERE, origin="null", **said)


def test_a_page_of_others_may_link_here() -> None:
    assert not refused("GET", host=HERE, sec_fetch_site="cross-site", sec_fetch_mode="navigate")
    assert refused("GET", host=HERE, sec_fetch_site="cross-site", sec_fetch_mode="navigate", origin=EVIL)
    assert refused("POST", host=HERE, sec_fetch_site="cross-site", sec_fetch_mode="navigate")  # a form


def test_the_page_of_a_result_plays_the_recording() -> None:
    """It has an origin of its own, since it is shown in a sandbox."""
    played = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "no-cors", "sec_fetch_dest": "audio"}
    audio = ("GET", PLAIN, "/v1/jobs/1/audio")
    assert not refused(*audio, host=HERE, **played)
    assert refused(*audio, host=HERE, **played, origin="null")
    assert refused("GET", host=HERE, **played)  # nothing else is played
    assert refused("POST", PLAIN, "/v1/jobs/1/audio", host=HERE, **played)


def test_configured_origins_may_read() -> None:
    asked = {"sec_fetch_site": "cross-site", "sec_fetch_mode": "cors"}
    assert not refused("GET", PUBLISHED, host="localhost", origin=DESK, **asked)
    assert refused("GET", PUBLISHED, host="localhost", origin=EVIL, **asked)
    assert refused("GET", PUBLISHED, host="localhost", **asked)


@given(
    st.lists(st.text(st.characters(max_codepoint=255)), max_size=2), st.text(st.characters(max_codepoint=255))
)
def test_any_headers_are_answered_or_forbidden(hosts: list[str], origin: str) -> None:
    refused("GET", host=hosts)
    assert refused("POST", host="localhost", origin=origin) or origin.lower().endswith("://localhost")
