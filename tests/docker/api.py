"""As much of a client as a check of an image needs, from the standard library: there may be nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen
from uuid import uuid4

TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Api:
    url: str
    key: str

    def ready(self) -> bool:
        try:
            with urlopen(f"{self.url}/health/ready", timeout=TIMEOUT) as answer:
                return bool(answer.status == 200)
        except (HTTPError, URLError, ConnectionError):
            return False

    def get(self, path: str) -> bytes:
        return self._ask(Request(f"{self.url}{path}"))

    def create(self, folder: Path) -> str:
        """A job of the segment in this folder and its text; its id."""
        files = {"audio": folder / "segment.opus", "text": folder / "supplied.txt"}
        boundary = uuid4().hex
        request = Request(f"{self.url}/v1/jobs", data=_form(files, boundary), method="POST")
        request.add_header("Content-Type", f"multipart/form-data; boundary={boundary}")
        return str(json.loads(self._ask(request))["id"])

    def look(self, job: str) -> Mapping[str, Any]:
        seen: Mapping[str, Any] = json.loads(self.get(f"/v1/jobs/{job}"))
        return seen

    def wait(self, job: str, patience: float) -> Mapping[str, Any]:
        """The job when it has ended."""
        ending = time.monotonic() + patience
        while True:
            seen = self.look(job)
            if seen["state"] not in {"queued", "running"}:
                return seen
            if time.monotonic() > ending:
                raise SystemExit(f"the job does not end: {seen}")
            time.sleep(0.2)

    def _ask(self, request: Request) -> bytes:
        request.add_header("Authorization", f"Bearer {self.key}")
        try:
            with urlopen(request, timeout=TIMEOUT) as answer:
                return bytes(answer.read())
        except HTTPError as error:
            raise SystemExit(f"{request.full_url} answers {error.code}: {error.read().decode()}") from None


def _form(files: Mapping[str, Path], boundary: str) -> bytes:
    """multipart/form-data (RFC 7578)."""
    parts = []
    for name, path in files.items():
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{path.name}"\r\n\r\n'
        )
        parts.append(head.encode() + path.read_bytes() + b"\r\n")
    return b"".join(parts) + f"--{boundary}--\r\n".encode()
