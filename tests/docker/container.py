"""A built image as a container, without a container daemon: runc, with the image's own configuration.

What the image says is what runs: its command, user, environment, folder. Around it is what a careful operator
would ask for: the root read-only, no capability, no new privileges, the system calls refused that Docker's
own profile refuses to such a container. The network is whatever the caller has; `.ci/image` has none.
"""

from __future__ import annotations

import errno
import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

PATIENCE = 1200.0
"""Seconds after which a check gives up waiting; no measure of anything."""

REFUSED = [
    *("add_key", "bpf", "keyctl", "mount", "move_mount", "open_tree", "perf_event_open", "pivot_root"),
    *("request_key", "setns", "umount2", "unshare", "userfaultfd"),
]
SYSTEM_CALLS = {
    "defaultAction": "SCMP_ACT_ALLOW",
    "syscalls": [
        {"names": REFUSED, "action": "SCMP_ACT_ERRNO", "errnoRet": errno.EPERM},
        # As if there were none, so that the C library takes the older call.
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS},
    ],
}

MOUNTS = [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {
        "destination": "/dev",
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["nosuid", "mode=755", "size=64k"],
    },
    {
        "destination": "/dev/shm",
        "type": "tmpfs",
        "source": "shm",
        "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=64m"],  # as Docker has it
    },
    {
        "destination": "/sys",
        "type": "sysfs",
        "source": "sysfs",
        "options": ["nosuid", "noexec", "nodev", "ro"],
    },
]


@dataclass(frozen=True, slots=True)
class Image:
    """A root file system with its configuration, as `buildah inspect` gives it."""

    root: Path
    config: Mapping[str, Any]
    scratch: Path
    """Folder of this machine's for bundles, volumes and logs."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a container is started: what `docker run` takes as options."""

    data: Path
    """The volume."""
    user: str = ""
    """In place of the image's."""
    environment: Mapping[str, str] = field(default_factory=dict)
    volumes: Mapping[str, Path] = field(default_factory=dict)
    """Folders of this machine's by their places in the container, read-only."""


@dataclass(slots=True)
class Container:
    """One that runs."""

    name: str
    state: Path
    log: Path
    process: subprocess.Popen[bytes]

    def stop(self, patience: float = PATIENCE) -> tuple[int, float]:
        """As `docker stop` begins: the stop signal. Exit status, and the seconds that it took."""
        started = time.monotonic()
        _runc(self.state, "kill", self.name, "TERM")
        status = self.process.wait(patience)
        return status, time.monotonic() - started

    def execute(self, *command: str) -> subprocess.CompletedProcess[str]:
        """As `docker exec`."""
        return _runc(self.state, "exec", self.name, *command)

    def remove(self) -> None:
        if self.process.poll() is None:
            _runc(self.state, "kill", self.name, "KILL")
            self.process.wait(PATIENCE)


def volume(image: Image, name: str) -> Path:
    """A new volume, as an engine makes it: with the mode of the folder in the image."""
    folder = image.scratch / "volumes" / name
    folder.mkdir(parents=True)
    folder.chmod((image.root / "data").stat().st_mode & 0o7777)
    return folder


def start(image: Image, name: str, setting: Setting, command: Sequence[str] = ()) -> Container:
    """`docker run IMAGE COMMAND`, in the background."""
    bundle = image.scratch / "bundles" / name
    bundle.mkdir(parents=True)
    written = json.dumps(_specification(image, setting, command), indent=1)
    (bundle / "config.json").write_text(written, encoding="utf-8")
    log = bundle / "log"
    state = image.scratch / "state"
    arguments = ["runc", "--root", str(state), "run", "--bundle", str(bundle), name]
    with log.open("wb") as file:
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    return Container(name, state, log, process)


def run(image: Image, name: str, setting: Setting, *command: str) -> tuple[int, str]:
    """`docker run --rm IMAGE COMMAND`: exit status and what it printed."""
    container = start(image, name, setting, command)
    try:
        status = container.process.wait(PATIENCE)
    finally:
        container.remove()
    return status, container.log.read_text(encoding="utf-8", errors="replace")


def with_entrypoint(image: Image, *entrypoint: str) -> Image:
    """`--entrypoint`."""
    return replace(image, config={**image.config, "Entrypoint": list(entrypoint), "Cmd": []})


def _specification(image: Image, setting: Setting, command: Sequence[str]) -> dict[str, Any]:
    """config.json of the OCI runtime specification 1.0."""
    config = image.config
    uid, _, gid = (setting.user or config["User"]).partition(":")
    environment = dict(line.split("=", 1) for line in config["Env"]) | dict(setting.environment)
    writable = dict.fromkeys(config["Volumes"], setting.data)
    return {
        "ociVersion": "1.0.2",
        "root": {"path": str(image.root), "readonly": True},
        "hostname": "turnwise",
        "process": {
            "user": {"uid": int(uid), "gid": int(gid or 0)},
            "args": [*config["Entrypoint"], *(command or config["Cmd"])],
            "env": [f"{name}={value}" for name, value in environment.items()],
            "cwd": config["WorkingDir"],
            "noNewPrivileges": True,
            "capabilities": {},
        },
        "mounts": [
            *MOUNTS,
            *(_bound(place, folder, "rw") for place, folder in writable.items()),
            *(_bound(place, folder, "ro") for place, folder in setting.volumes.items()),
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount")],
            "seccomp": SYSTEM_CALLS,
        },
    }


def _bound(place: str, folder: Path, access: str) -> dict[str, Any]:
    return {"destination": place, "type": "bind", "source": str(folder), "options": ["rbind", access]}


def _runc(state: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["runc", "--root", str(state), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
