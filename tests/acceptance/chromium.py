"""Drives a real browser through the Chrome DevTools Protocol, over two pipes: nothing listens on a port.

Protocol: https://chromedevtools.github.io/devtools-protocol/; with --remote-debugging-pipe the browser reads
messages from file descriptor 3 and writes them to 4, each ended by a zero byte.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 60.0
"""Seconds to wait for anything: a loaded machine is slow, and no test measures it."""

# Puts the pipes where the browser looks for them; first aside, since they may lie on 3 and 4 themselves.
_LAUNCH = """
import fcntl, os, sys
read, write = (fcntl.fcntl(int(fd), fcntl.F_DUPFD, 10) for fd in sys.argv[1:3])
os.dup2(read, 3)
os.dup2(write, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


def find() -> str:
    """The browser's path, or "" where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), "")


class Chromium:
    """One page of a headless browser with a profile of its own."""

    def __init__(self, browser: str, profile: Path) -> None:
        theirs_in, self._write = os.pipe()
        self._read, theirs_out = os.pipe()
        flags = [
            "--headless",
            "--disable-gpu",
            "--disable-background-networking",
            f"--user-data-dir={profile}",
        ]
        flags += ["--remote-debugging-pipe", "--autoplay-policy=no-user-gesture-required", "about:blank"]
        flags += ["--no-sandbox"] * (os.geteuid() == 0)
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, str(theirs_in), str(theirs_out), browser, *flags],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._pending = b""
        self._count = 0
        self._session: dict[str, str] = {}
        self.problems: list[str] = []

    def __enter__(self) -> Self:
        try:
            target = self._ask("Target.createTarget", url="about:blank")["targetId"]
            session = self._ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            self._session = {"sessionId": session}
            for domain in ("Page", "Runtime", "Log"):
                self._ask(f"{domain}.enable")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the browser."""
        self._process.terminate()
        self._process.wait(PATIENCE)
        os.close(self._read)
        os.close(self._write)

    def open(self, page: Path) -> None:
        """Loads a file, and waits until its script has run."""
        self._ask("Page.navigate", url=page.as_uri())
        self.wait("document.documentElement?.dataset.ready !== undefined")

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression. Raises AssertionError where it throws."""
        answer = self._ask("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Until the expression is true. Raises AssertionError where it stays false."""
        limit = time.monotonic() + PATIENCE
        while not self.evaluate(condition):
            assert time.monotonic() < limit, f"never became true: {condition}"
            time.sleep(0.05)

    def click(self, selector: str) -> None:
        """The left mouse button in the middle of an element."""
        box = f"document.querySelector({json.dumps(selector)}).getClientRects()[0]"
        self.evaluate(
            f"document.querySelector({json.dumps(selector)}).scrollIntoView({{behavior: 'instant'}})"
        )
        x, y = self.evaluate(
            f"(() => {{ const b = {box}; return [b.x + b.width / 2, b.y + b.height / 2] }})()"
        )
        for event in ("mousePressed", "mouseReleased"):
            self._ask("Input.dispatchMouseEvent", type=event, x=x, y=y, button="left", clickCount=1)

    def choose(self, selector: str, file: Path) -> None:
        """A file in a file input, as if chosen in the dialog."""
        found = self._ask("Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})")
        self._ask("DOM.setFileInputFiles", files=[str(file)], objectId=found["result"]["objectId"])

    def press(self, key: str) -> None:
        """One key, down and up."""
        for event in ("keyDown", "keyUp"):
            self._ask("Input.dispatchKeyEvent", type=event, key=key, code=key)

    def resize(self, width: int, height: int) -> None:
        """A window, or a phone, of that many CSS pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._ask("Emulation.setDeviceMetricsOverride", **metrics)

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters, **self._session}
        os.write(self._write, json.dumps(message).encode() + b"\0")
        for answer in self._messages():
            if answer.get("id") == self._count:
                assert "error" not in answer, answer
                result: dict[str, Any] = answer["result"]
                return result
            self._note(answer)
        raise AssertionError("the browser has gone")

    def _messages(self) -> Iterator[dict[str, Any]]:
        while True:
            while b"\0" not in self._pending:
                block = os.read(self._read, 1 << 16)
                if not block:
                    return
                self._pending += block
            message, _, self._pending = self._pending.partition(b"\0")
            yield json.loads(message)

    def _note(self, event: dict[str, Any]) -> None:
        """Keeps what the page's script threw and what the browser's log says."""
        if event.get("method") in {"Runtime.exceptionThrown", "Log.entryAdded"}:
            self.problems.append(json.dumps(event["params"]))
