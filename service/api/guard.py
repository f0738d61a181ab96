"""Who may talk to a server without keys: programs on this machine, but no web page in a browser.

Listening on the loopback address alone does not keep pages out, since a browser connects to it for any of
them: under a name of their own that suddenly resolves to 127.0.0.1 (DNS rebinding, which the header Host
reveals), or through a form, a script or an image (which Sec-Fetch-Site and Origin reveal). The rules for the
latter are those of Go's net/http.CrossOriginProtection, applied to reads as well as writes.
"""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from service.problems import Code, ProblemError
from service.settings import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^][:@/?#\\\s]+)(:[0-9]{1,5})?")


def is_loopback(host: str) -> bool:
    """Whether an address to listen on, or the host of a URL, is this machine's loopback.

    Of all names only localhost counts: what other names resolve to is up to a name server.
    """
    if host.lower().removesuffix(".") == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def check_request(method: str, path: str, headers: Iterable[tuple[bytes, bytes]], settings: Settings) -> None:
    """Checks a request to a server without keys; headers as in ASGI, names in lower case.

    Raises ProblemError (forbidden) for a request that a foreign web page may have caused; links are allowed.
    """
    values: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in headers:
        values[name.decode("latin-1")].append(value.decode("latin-1"))
    check_host(values["host"], settings.public_url)
    # A followed link is harmless, and so is a recording played, as by a result's page in its sandbox: a page
    # that could read the answer sends its origin.
    harmless = {"navigate", "audio", "video"} if path.endswith("/audio") else {"navigate"}
    wanted = harmless.intersection(values["sec-fetch-mode"] + values["sec-fetch-dest"])
    if method not in SAFE_METHODS or values["origin"] or not wanted:
        check_site(values["host"][0], values["sec-fetch-site"], values["origin"], settings.cors_origins)


def check_host(hosts: Sequence[str], public_url: str) -> None:
    """Raises ProblemError (forbidden) unless there is one Host, which names this machine or our public URL.

    Any port will do: ssh and containers forward ports.
    """
    named = [_HOST.fullmatch(host) for host in hosts]
    if len(named) == 1 and named[0]:
        host = named[0][1].lower().strip("[]")
        if is_loopback(host) or host == urlsplit(public_url).hostname:
            return
    raise ProblemError(Code.FORBIDDEN)


def check_site(host: str, sites: Sequence[str], origins: Sequence[str], trusted: Iterable[str]) -> None:
    """Raises ProblemError (forbidden) for a request from another origin.

    Without either header it does not come from a browser. Other ports of this machine are other origins.
    """
    if sites:
        own = set(sites) <= {"same-origin", "none"}
    else:  # an opaque origin, "null", has no authority and is never ours
        own = all(origin.lower().partition("://")[2] == host.lower() for origin in origins)
    if own or (origins and set(origins) <= set(trusted)):
        return
    detail = "Without keys this server refuses pages of other origins: add yours to TURNWISE_CORS_ORIGINS."
    raise ProblemError(Code.FORBIDDEN, detail)
