"""Turns one untrusted recording into samples, in a process that can reach nothing else.

    python -P -m service.work.decode_process < request.json

The request is one line of JSON, the fields of `Request`. Before the answers that answering.py describes comes
{"walls": {…}}, which walls of the sandbox stand. Without a final answer the process was killed, by SIGXCPU if
its processor time was used up.

The decoders are large and written in C, so a recording might take them over. It could then only use up the
processor time and the memory, read itself, and write to the two output files. They are opened before its
first byte is read; afterwards this process cannot open files or connections, start programs, or (from Linux
6.12 on) send signals.
"""

from __future__ import annotations

import ctypes
import errno
import importlib
import json
import math
import os
import pkgutil
import resource
import sys
from dataclasses import asdict, dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

from pipelines.errors import MediaError, MediaLimitError, NotMediaError, code_of
from pipelines.files import flush, is_full
from pipelines.processes import die_with_parent
from service.work.answering import DISK_FULL, Answer, failed, opened, paced

SAMPLES, MEDIA = "samples.f32", "media.json"
"""The files in the folder: little-endian float32, mono, 16 kHz; and {"media": {…}, "warnings": [{…}]}."""

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h
PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
CAPABILITY_VERSION = 0x20080522  # linux/capability.h
LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446  # system calls, the same on every processor
LANDLOCK_FILE_RIGHTS = (13, 14, 15, 15, 16, 16)  # how many Landlock 1, 2, … know


@dataclass(frozen=True, slots=True)
class Request:
    """A recording, the empty folder for the output, and the limits of decoding."""

    recording: str
    name: str  # its owner's name for it: for messages, never a path
    folder: str
    duration: float
    decode_time: float
    memory_bytes: int  # of address space
    processor_time: float
    output_bytes: int  # of each file


def main() -> None:
    die_with_parent()
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # every thread takes address space, and mixing needs only one
    answer = opened()
    answer_all(Request(**json.loads(sys.stdin.readline())), answer)


def answer_all(request: Request, answer: Answer) -> None:
    """Decodes and answers; it raises only for mistakes of ours."""
    limit = code_of(MediaLimitError)
    try:
        decode(request, answer)
    except MediaError as error:
        answer(failed(code_of(type(error)), str(error)))
    except MemoryError:
        most = f"the limit of {request.memory_bytes / 1e6:.0f} MB"
        answer(failed(limit, f"{request.name} needs more memory to decode than {most}: cut it into parts."))
    except OSError as error:
        if is_full(error):
            kind, reason = DISK_FULL, "the disk is full: try again when there is space"
        elif error.errno == errno.EFBIG:
            kind, reason = limit, "its samples take more space than the limit: cut it into parts"
        else:
            raise
        answer(failed(kind, f"{request.name} cannot be decoded because {reason}."))
    else:
        answer({"done": {}})


def decode(request: Request, answer: Answer) -> None:
    """Writes the files into the folder; raises MediaError, MemoryError or OSError."""
    folder = Path(request.folder)
    with (
        open_recording(request) as recording,
        (folder / SAMPLES).open("xb") as samples,
        (folder / MEDIA).open("xb") as media,
    ):
        flush(folder)
        network = leave_network()
        from pipelines import audio  # noqa: PLC0415

        _import_rest_of_av()
        answer({"walls": {"network": network, **confine(request)}})
        limits = audio.Limits(duration=request.duration, decode_time=request.decode_time)
        result, warnings = audio.read(recording, request.name, limits, paced(answer))
        _write(samples, result.samples.astype("<f4", copy=False).data)
        described = {"media": asdict(result.media), "warnings": [asdict(warning) for warning in warnings]}
        _write(media, json.dumps(described).encode())


def _import_rest_of_av() -> None:
    """Imports what PyAV would import with the first track of a kind: too late in the sandbox."""
    import av  # noqa: PLC0415

    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name not in ("av.__main__", "av.datasets"):
            importlib.import_module(module.name)


def open_recording(request: Request) -> BufferedReader:
    """Opens the recording, without following a link or waiting for the writer of a pipe."""
    try:
        return os.fdopen(os.open(request.recording, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb")
    except OSError as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise NotMediaError(f"{request.name!r} is not a regular file: upload the recording itself.") from None


def _write(file: BinaryIO, content: bytes | memoryview) -> None:
    file.write(content)
    file.flush()
    os.fsync(file.fileno())


def leave_network() -> bool:
    """Into a network with nothing in it; whether the system lets us. Only before there are threads."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None)
    return any(libc.unshare(flags) == 0 for flags in (CLONE_NEWNET, CLONE_NEWUSER | CLONE_NEWNET))


def confine(request: Request) -> dict[str, int]:
    """From here on this process has the files that it has open, what the request grants, and nothing else.

    Returns what stands of it: the version of Landlock, 0 for none, and whether privileges are dropped.
    """
    landlock, dropped = 0, False
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        none_new = libc.prctl(PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0)))
        landlock = _lock_files(libc)
        nothing = (ctypes.c_uint32 * 6)()
        none_left = libc.capset((ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), nothing)  # where we are root
        dropped = none_new == none_left == 0
    processor_time = math.ceil(request.processor_time)
    for kind, most in (
        (resource.RLIMIT_AS, request.memory_bytes),
        (resource.RLIMIT_FSIZE, request.output_bytes),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),  # not minded of root
        (resource.RLIMIT_NOFILE, 0),
    ):
        _limit(kind, most, most)
    _limit(resource.RLIMIT_CPU, processor_time, processor_time + 1)  # SIGXCPU, and SIGKILL if that is ignored
    return {"landlock": landlock, "privileges_dropped": dropped}


def _lock_files(libc: ctypes.CDLL) -> int:
    """Landlock, where the kernel has it: also what needs no open file, as unlink, rename and execve.

    https://docs.kernel.org/userspace-api/landlock.html: a process is denied every right that its ruleset
    handles and no rule grants. From version 4 on it handles TCP, from 6 on signals to others. Returns the
    version in force.
    """
    create = (ctypes.c_long(LANDLOCK_CREATE_RULESET),)
    version = libc.syscall(*create, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    if version < 1:
        return 0
    files = 2 ** LANDLOCK_FILE_RIGHTS[min(version, len(LANDLOCK_FILE_RIGHTS)) - 1] - 1
    rights = (ctypes.c_uint64 * 3)(files, 3 * (version >= 4), 3 * (version >= 6))
    ruleset = libc.syscall(*create, rights, ctypes.c_size_t(ctypes.sizeof(rights)), ctypes.c_uint(0))
    failed = libc.syscall(ctypes.c_long(LANDLOCK_RESTRICT_SELF), ctypes.c_int(ruleset), ctypes.c_uint(0))
    os.close(ruleset)
    return 0 if failed else int(version)


def _limit(kind: int, soft: int, hard: int) -> None:
    """Sets a limit, unless a stricter one is in place."""
    _, present = resource.getrlimit(kind)
    if present != resource.RLIM_INFINITY:
        soft, hard = min(soft, present), min(hard, present)
    resource.setrlimit(kind, (soft, hard))


if __name__ == "__main__":
    main()
