"""Who may talk to a server without keys: programs of this machine, and no web page that a browser shows.

Listening on the loopback address alone does not keep pages out, since a browser connects to it for any of
them: with a name of their own that suddenly means 127.0.0.1 (DNS rebinding; the header Host gives it away),
or with a form, a script or an image that asks there (the headers Sec-Fetch-Site and Origin do). The rules for
the latter are those of Go's net/http.CrossOriginProtection, for what is read as for what is changed.
"""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from urllib.parse import urlsplit

from service.problems import Code, ProblemError
from service.settings import Settings

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^][:@/?#\\\s]+)(:[0-9]{1,5})?")


def is_loopback(host: str) -> bool:
    """Whether an address to listen on, or the host of a URL, is this machine to itself.

    Of all names only localhost is: what the others mean is up to whoever runs the name server.
    """
    if host.lower().removesuffix(".") == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def check_request(method: str, headers: Iterable[tuple[bytes, bytes]], settings: Settings) -> None:
    """For every request to a server without keys; headers as ASGI has them, names in lower case.

    Raises ProblemError (forbidden) for what a web page of somebody else may have caused, but for links to us.
    """
    values: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in headers:
        values[name.decode("latin-1")].append(value.decode("latin-1"))
    check_host(values["host"], settings.public_url)
    if method not in SAFE_METHODS or not _is_harmless(values):
        check_site(values["host"][0], values["sec-fetch-site"], values["origin"], settings.cors_origins)


def _is_harmless(values: Mapping[str, Sequence[str]]) -> bool:
    """A link that somebody follows, or a recording that is played: the page of a result does that from its
    sandbox. A page that could read the answer sends its origin."""
    asked = {*values["sec-fetch-mode"], *values["sec-fetch-dest"]}
    return not values["origin"] and bool(asked & {"navigate", "audio", "video"})


def check_host(hosts: Sequence[str], public_url: str) -> None:
    """Raises ProblemError (forbidden) unless Host is there once and names this machine or our public URL's.

    Its port may be any: ssh and containers hand ports on.
    """
    named = [_HOST.fullmatch(host) for host in hosts]
    if len(named) == 1 and named[0]:
        host = named[0][1].lower().strip("[]")
        if is_loopback(host) or host == urlsplit(public_url).hostname:
            return
    raise ProblemError(
        Code.FORBIDDEN,
        "Without keys this server answers under localhost only: ask it there, or set TURNWISE_PUBLIC_URL.",
    )


def check_site(host: str, sites: Sequence[str], origins: Sequence[str], trusted: Iterable[str]) -> None:
    """Raises ProblemError (forbidden) where a request comes from another origin.

    Without either header it comes from no browser. Pages of other ports of this machine are other origins.
    """
    own = (
        set(sites) <= {"same-origin", "none"}
        if sites
        else all(_authority(origin) == host.lower() for origin in origins)
    )
    if own or (origins and set(origins) <= set(trusted)):
        return
    raise ProblemError(
        Code.FORBIDDEN,
        "Without keys this server answers no page of another origin: set TURNWISE_CORS_ORIGINS to yours.",
    )


def _authority(origin: str) -> str:
    """host:port of an Origin, "" of one that is opaque ("null")."""
    return origin.lower().partition("://")[2]
