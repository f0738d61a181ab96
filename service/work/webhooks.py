"""Outgoing webhooks: one signed POST when a job has ended, and never to a private address.

Signed as Standard Webhooks specifies (https://www.standardwebhooks.com). A user names the URL but this
machine makes the request, so users could reach addresses that only this machine can (server-side request
forgery, CWE-918). Therefore the name is resolved here, each of its addresses must be public, and the
connection goes to one of the checked addresses, whatever the name resolves to a moment later.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum
from functools import cache
from http import HTTPStatus
from random import Random

import httpx
from standardwebhooks import Webhook

from service.problems import Code, ProblemError
from service.settings import Settings

TIMEOUT = httpx.Timeout(10.0, connect=5.0)
DEADLINE = 20.0
"""Seconds for a whole attempt, so that a receiver cannot keep it open by sending a byte now and then."""
FIRST_WAIT, LONGEST_WAIT, GROWTH = 5.0, 6 * 3600.0, 6.0
LONGEST_RETRY_AFTER = 24 * 3600.0
LONGEST_URL_CHARACTERS = 2048
ADDRESSES_TRIED = 4

_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")  # RFC 4291: all else is local or embeds other addresses
_SPECIAL = [
    ipaddress.ip_network(block)
    for block in (
        "192.0.0.0/24",  # RFC 6890, protocol assignments
        "192.88.99.0/24",  # RFC 7526, relays of 6to4
        "2001::/23",  # RFC 2928, protocol assignments, including Teredo, which embeds IPv4 addresses
        "2002::/16",  # RFC 3056, 6to4, which embeds them too
        "3fff::/20",  # RFC 9637, documentation; global for older Pythons
    )
]

logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs URLs, which may hold secrets

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]


class Verdict(Enum):
    DELIVERED = "delivered"
    RETRY = "retry"
    GIVEN_UP = "given up"  # another attempt can only end the same way


@dataclass(frozen=True, slots=True)
class Outcome:
    """Outcome of one attempt; `reason` is for the log and holds nothing of the URL."""

    verdict: Verdict
    reason: str
    retry_after: float = 0.0  # seconds that the receiver asks us to wait


def payload(job: str, state: str, finished: float, metadata: Mapping[str, str]) -> bytes:
    """Returns the body: the job's id, final state and metadata. The API gives the rest, with a key."""
    moment = datetime.fromtimestamp(finished, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    data = {"id": job, "state": state, "metadata": dict(metadata)}
    body = {"type": f"job.{state}", "timestamp": moment, "data": data}
    return json.dumps(body, separators=(",", ":")).encode()


def wait(number: int, random: Random) -> float:
    """Returns the seconds to wait after attempt 0, 1, …: 5, six times that, … up to 6 h, ±20 %."""
    return min(FIRST_WAIT * GROWTH**number, LONGEST_WAIT) * random.uniform(0.8, 1.2)


def check_url(url: str, settings: Settings) -> None:
    """Raises ProblemError (invalid) for a URL that can never succeed, without asking a name server."""
    if settings.webhook_secret is None:
        raise _invalid("Webhooks are not set up here: ask for TURNWISE_WEBHOOK_SECRET to be set.")
    address = _literal(_parse(url).raw_host.decode("ascii"))
    if address and not settings.webhook_private_addresses and not is_public(address):
        raise _invalid("The webhook's address is not public: give a public one.")


async def deliver(
    url: str,
    event_id: str,
    timestamp: float,
    body: bytes,
    settings: Settings,
    *,
    resolve: Resolve | None = None,
    transport: httpx.AsyncBaseTransport | None = None,
) -> Outcome:
    """Makes one attempt. `timestamp` is that of the attempt: receivers refuse old ones as replays.

    `event_id` is the same in all attempts. Never raises because of the URL or the receiver.
    """
    if settings.webhook_secret is None:
        return Outcome(Verdict.GIVEN_UP, "there is no secret to sign with")
    headers = sign(event_id, timestamp, body, settings.webhook_secret.get_secret_value())
    try:
        async with asyncio.timeout(DEADLINE):
            parsed = _parse(url)
            port = parsed.port or (443 if parsed.scheme == "https" else 80)
            addresses = await (resolve or _resolve)(parsed.raw_host.decode("ascii"), port)
            if not settings.webhook_private_addresses and not all(map(is_public, addresses)):
                return Outcome(Verdict.GIVEN_UP, "its address is not public")
            return await _post(parsed, addresses, headers, body, transport)
    except ProblemError as error:
        return Outcome(Verdict.GIVEN_UP, error.detail)
    except TimeoutError:
        return Outcome(Verdict.RETRY, "no answer in time")
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
        return Outcome(Verdict.RETRY, type(error).__name__)


def sign(event_id: str, timestamp: float, body: bytes, secret: str) -> dict[str, str]:
    """Returns the three headers of Standard Webhooks."""
    moment = datetime.fromtimestamp(int(timestamp), UTC)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(timestamp)),
        "webhook-signature": Webhook(secret).sign(event_id, moment, body.decode()),
    }


def is_public(address: str) -> bool:
    """Whether an address is public on the internet.

    False for addresses that embed another one (IPv4-mapped, 6to4, Teredo, NAT64): a gateway may unpack it.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if any(parsed in block for block in _SPECIAL) or parsed.is_multicast or parsed.is_reserved:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and (parsed.scope_id or parsed not in _GLOBAL_UNICAST):
        return False
    return parsed.is_global


async def _resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def _post(
    url: httpx.URL,
    addresses: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    transport: httpx.AsyncBaseTransport | None,
) -> Outcome:
    """Sends the request to the first address that accepts the connection.

    The client lives for one attempt: a pooled connection is found by its address, and might then serve a name
    that its certificate was not checked for.
    """
    about = {"content-type": "application/json", "user-agent": "turnwise"}
    sent = {**headers, **about, "host": url.netloc.decode("ascii")}
    transport = transport or httpx.AsyncHTTPTransport(verify=_trusted(), trust_env=False)
    async with httpx.AsyncClient(transport=transport, timeout=TIMEOUT, trust_env=False) as client:
        unreachable: httpx.HTTPError = httpx.ConnectError("it has no address")
        for address in addresses[:ADDRESSES_TRIED]:
            try:
                async with client.stream(
                    "POST",
                    url.copy_with(host=address, fragment=None),
                    content=body,
                    headers=sent,
                    extensions={"sni_hostname": url.raw_host.decode("ascii")},
                ) as response:  # its body is not read
                    return _judge(response.status_code, response.headers)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                unreachable = error
        raise unreachable


def _judge(status: int, headers: Mapping[str, str]) -> Outcome:
    """Standard Webhooks: 2xx is success, 410 means no more; a redirect is not followed."""
    if 200 <= status < 300:
        return Outcome(Verdict.DELIVERED, f"answered {status}")
    if status == HTTPStatus.GONE:
        return Outcome(Verdict.GIVEN_UP, "answered 410: the receiver wants no more")
    return Outcome(Verdict.RETRY, f"answered {status}", _seconds(headers.get("retry-after", "")))


def _seconds(retry_after: str) -> float:
    """Reads Retry-After (RFC 9110, 10.2.3), a number of seconds or a date; 0 for anything else."""
    if re.fullmatch(r"[0-9]{1,9}", retry_after):
        return min(float(retry_after), LONGEST_RETRY_AFTER)
    try:
        date = parsedate_to_datetime(retry_after)
    except ValueError:
        return 0.0
    seconds = (date.replace(tzinfo=date.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    return min(max(seconds, 0.0), LONGEST_RETRY_AFTER)


def _parse(url: str) -> httpx.URL:
    if len(url) > LONGEST_URL_CHARACTERS:
        raise _invalid(f"The webhook's URL is longer than {LONGEST_URL_CHARACTERS} characters: shorten it.")
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):  # UnicodeError: a lone surrogate
        raise _invalid("The webhook's URL is not a URL: check it.") from None
    if parsed.scheme not in {"http", "https"}:
        raise _invalid("The webhook's URL is neither http nor https: use one of them.")
    if parsed.userinfo:
        raise _invalid(
            "The webhook's URL holds credentials: leave them out, the signature proves the sender."
        )
    if not _is_host(parsed.raw_host.decode("ascii")):
        raise _invalid("The webhook's URL names no host: check it.")
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise _invalid("The webhook's URL has an impossible port: check it.")
    return parsed


def _is_host(host: str) -> bool:
    if ":" in host:
        return bool(_literal(host)) and "%" not in host
    labels = host.removesuffix(".").split(".")
    return len(host) <= 253 and all(_LABEL.fullmatch(label) for label in labels)


def _literal(host: str) -> str:
    """Returns the address that a host is, or ""; 127.1, 0x7f000001 and localhost are addresses too."""
    if f".{host.removesuffix('.')}".endswith(".localhost"):
        return "127.0.0.1"
    with suppress(ValueError):
        return str(ipaddress.ip_address(host))
    with suppress(OSError, UnicodeError):
        return socket.inet_ntoa(socket.inet_aton(host))
    return ""


def _invalid(detail: str) -> ProblemError:
    return ProblemError(Code.INVALID, detail)


@cache
def _trusted() -> ssl.SSLContext:
    """Loads the usual authorities, or those of SSL_CERT_FILE; once, since it takes long."""
    return httpx.create_ssl_context()
