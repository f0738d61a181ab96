"""Two hosts on this machine, network namespaces of Linux on a bridge, each of which can be cut off.

    this machine, 198.18.N.1 ── bridge ─┬── host a, 198.18.N.2
                                        └── host b, 198.18.N.3

They share nothing but the way to this machine and to each other. Whoever makes them has to be root; when he
ends, however he does, they are gone, with all that runs on them.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

NETWORK = "198.18"  # set aside for tests of networks: RFC 2544
NAMES = ("a", "b")

# Whoever runs the tests may be killed: this waits for the end of its input, and then clears up.
_GUARD = """
cat
for host in a b; do
  ip netns pids "$1-$host" | xargs -r kill -9
  ip netns delete "$1-$host"
  ip link delete "$1$host"
done
ip link delete "$1"
"""


class Way(StrEnum):
    """How a host is cut off. Nobody is told in either case: what is sent does not arrive."""

    SILENCE = "silence"  # the bridge forwards nothing from it and to it
    UNPLUGGED = "unplugged"  # it has no carrier either


@dataclass(frozen=True)
class Host:
    """`command` runs a program on it."""

    space: str
    address: str
    port: str  # its end of the cable at the bridge

    @property
    def command(self) -> tuple[str, ...]:
        return "ip", "netns", "exec", self.space

    def cut(self, way: Way) -> None:
        if way is Way.SILENCE:
            _run("bridge", "link", "set", "dev", self.port, "state", "0")  # disabled
        else:
            _ip("link", "set", self.port, "down")

    def heal(self, way: Way) -> None:
        if way is Way.SILENCE:
            _run("bridge", "link", "set", "dev", self.port, "state", "3")  # forwarding
        else:
            _ip("link", "set", self.port, "up")


class Network:
    """Between `with Network() as network:` and the end of that block."""

    def __init__(self) -> None:
        self._bridge = f"tw{secrets.token_hex(4)}"
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, "sh", self._bridge],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the tests
        )

    def __enter__(self) -> Self:
        try:
            self._make()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._guard.stdin
        self._guard.stdin.close()
        self._guard.wait()

    def _make(self) -> None:
        net = f"{NETWORK}.{_free_net()}"
        self.address = f"{net}.1"
        """Of this machine."""
        _ip("link", "add", self._bridge, "type", "bridge")
        _ip("address", "add", f"{self.address}/24", "dev", self._bridge)
        _ip("link", "set", self._bridge, "up")
        self.hosts = tuple(self._add(name, f"{net}.{number}") for number, name in enumerate(NAMES, start=2))

    def _add(self, name: str, address: str) -> Host:
        host = Host(f"{self._bridge}-{name}", address, f"{self._bridge}{name}")
        _ip("netns", "add", host.space)
        _ip("link", "add", host.port, "type", "veth", "peer", "name", "eth0", "netns", host.space)
        _ip("link", "set", host.port, "master", self._bridge)
        _ip("-n", host.space, "address", "add", f"{address}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _ip("-n", host.space, "link", "set", device, "up")
        _ip("link", "set", host.port, "up")
        return host


def why_not() -> str:
    """Why there can be no hosts here, as a sentence; "" where there can be."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return "hosts need root and ip (Debian: apt-get install iproute2): nothing was tried on two"
    try:
        with Network():
            return ""
    except subprocess.CalledProcessError as error:
        return f"this machine makes no network namespaces ({error.stderr.strip()}): nothing was tried on two"


def _free_net() -> int:
    """The third part of a network's address that nobody here has."""
    taken = _ip("-oneline", "address")
    return random.choice([net for net in range(256) if f"{NETWORK}.{net}." not in taken])


def _ip(*arguments: str) -> str:
    return _run("ip", *arguments)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
