"""A machine without network, for every Python process that has this folder on its PYTHONPATH.

Python imports a module of this name before anything else. Any socket but a local one (AF_UNIX), and any look
at a name server, is written down in the file OFFLINE_RECORD and refused, as an audit hook, which no library
can take away again (PEP 578).
"""

import os
import socket
import sys
from pathlib import Path

RECORD = Path(os.environ["OFFLINE_RECORD"])
LOOKUPS = {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"}


def watch(event: str, arguments: tuple[object, ...]) -> None:
    """Raises OSError for what needs a network."""
    opened = event == "socket.__new__" and arguments[1] not in {socket.AF_UNIX, -1}
    if opened or event in LOOKUPS:
        with RECORD.open("a", encoding="utf-8") as file:
            file.write(f"{event} {arguments[1:]}\n")
        raise OSError(101, "Network is unreachable")


sys.addaudithook(watch)
