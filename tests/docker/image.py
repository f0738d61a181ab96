"""What a built image must do, done with it: run by .ci/image, which builds it and mounts it.

    python -m tests.docker.image TARGET --root FOLDER --config FILE --scratch FOLDER

Each check is a function that returns what was seen; one that fails ends the run. They come in the order of
a first day: look at the image, use the command, serve, stop, go on, and then the same as somebody else. All
of them have a read-only root, and no network but the loopback: see container.py.
"""

from __future__ import annotations

import json
import re
import subprocess
import time
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from shutil import copytree

from tests.docker.api import Api
from tests.docker.container import PATIENCE, Container, Image, Setting, run, start, volume, with_entrypoint

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "tests" / "data"
PYTHON = "/opt/turnwise/bin/python"
PACKAGES = "opt/turnwise/lib/python3.11/site-packages"

COMPILER = re.compile(r"(.+-)?(cc|c\+\+|gcc|g\+\+|clang|as|ld|ld\.bfd|make)(-\d+)?")
MOST_BYTES = {"embedded": 700_000_000, "cpu": 2_500_000_000}
START_SECONDS = 5.0
STOP_SECONDS = 10.0
STRANGER = "12345:0"
"""A user that the image does not know, as OpenShift has them."""

SEGMENT = ("/repository/tests/data/demo/segment.opus", "--text", "/repository/tests/data/demo/supplied.txt")

Figure = tuple[str, str]


def main() -> None:
    parser = ArgumentParser()
    parser.add_argument("target", choices=MOST_BYTES)
    for option in ("root", "config", "scratch"):
        parser.add_argument(f"--{option}", type=Path, required=True)
    given = parser.parse_args()
    image = Image(given.root, json.loads(given.config.read_text(encoding="utf-8")), given.scratch)
    for check in checks(given.target):
        for what, seen in check(image):
            print(f"{given.target} | {what} | {seen}", flush=True)


def checks(target: str) -> Sequence[Callable[[Image], Sequence[Figure]]]:
    own = {"embedded": (without_torch,), "cpu": (without_cuda, every_engine)}
    size = _sized(target)
    return (configuration, contents, size, *own[target], keyless, first_day, stranger, without_models)


def expect(condition: object, sentence: str) -> None:
    if not condition:
        raise SystemExit(f"tests.docker.image: {sentence}")


# ---------------------------------------------------------------- what it is


def configuration(image: Image) -> list[Figure]:
    config = image.config
    expect(config["User"] == "10001:10001", f"its user is {config['User']}")
    expect([*config["Entrypoint"], *config["Cmd"]] == ["turnwise", "serve"], "it does not serve")
    expect(config["StopSignal"] == "SIGTERM", "its stop signal is another")
    expect(list(config["Volumes"]) == ["/data"], "its volume is another")
    labels = config["Labels"]
    version, revision = (labels[f"org.opencontainers.image.{name}"] for name in ("version", "revision"))
    expect(re.fullmatch(r"[0-9a-f]{40}", revision), f"its revision is {revision!r}")
    _, said = run(image, "version", Setting(volume(image, "version")), "--version")
    expect(version and version in said, f"it calls itself {said!r}, and its label {version!r}")
    return [("version and revision of its labels", f"{version}, {revision[:12]}")]


def contents(image: Image) -> list[Figure]:
    """No compiler, and nothing of what it was built with."""
    root = image.root
    compilers = [path.name for path in root.glob("usr/bin/*") if COMPILER.fullmatch(path.name)]
    expect(not compilers, f"there are compilers in it: {compilers}")
    left = [name for name in ("build", "program", "etc/pip.conf", "run/secrets") if (root / name).exists()]
    expect(not left, f"there is left of its building: {left}")
    expect(
        not any(line.startswith("PIP_") and "INDEX" in line for line in image.config["Env"]),
        "it names an index",
    )
    mine = Path("/etc/ssl/certs/ca-certificates.crt").read_bytes()
    expect(
        (root / "etc/ssl/certs/ca-certificates.crt").read_bytes() != mine,
        "this machine's certificates are in it",
    )
    uncompiled = [path for path in _sources(root) if not _compiled(path).exists()]
    expect(not uncompiled, f"Python would compile {len(uncompiled)} modules at each start: {uncompiled[:3]}")
    return [("compilers, indexes, certificates of the builder", "none")]


def _sources(root: Path) -> Iterator[Path]:
    for package in ("pipelines", "service", "fastapi", "numpy", "sqlalchemy", "dbos"):
        yield from (root / PACKAGES / package).rglob("*.py")


def _compiled(path: Path) -> Path:
    return path.parent / "__pycache__" / f"{path.stem}.cpython-311.pyc"


def _sized(target: str) -> Callable[[Image], list[Figure]]:
    def size(image: Image) -> list[Figure]:
        seen = _bytes(image.root)
        expect(seen <= MOST_BYTES[target], f"it has {seen} bytes")
        largest = sorted(_entries(image.root), reverse=True)[:10]
        listed = ", ".join(f"{name} {size / 1e6:.0f}" for size, name in largest)
        return [("size", f"{seen / 1e6:.0f} MB (at most {MOST_BYTES[target] / 1e6:.0f})"), ("MB", listed)]

    return size


def _entries(root: Path) -> Iterator[tuple[int, str]]:
    """Debian as one, each package of Python, the models."""
    packages = root / PACKAGES
    for path in packages.iterdir():
        if path.is_dir() and not path.name.endswith((".libs", ".dist-info")):
            libraries = packages / f"{path.name}.libs"
            yield _bytes(path) + (_bytes(libraries) if libraries.exists() else 0), path.name
    yield _bytes(root / "models"), "models"
    yield _bytes(root) - _bytes(root / "opt") - _bytes(root / "models"), "Debian and its Python"


def _bytes(path: Path) -> int:
    found = subprocess.run(["du", "-sxB1", str(path)], capture_output=True, text=True, check=True)
    return int(found.stdout.split()[0])


def without_torch(image: Image) -> list[Figure]:
    found = _packages(image)
    expect("torch" not in found, "torch is in it")
    return [("Python packages", str(len(found)))]


def without_cuda(image: Image) -> list[Figure]:
    found = _packages(image)
    expect("torch" in found, "torch is not in it")
    graphics = [name for name in found if re.match(r"nvidia|cuda|triton|cupy", name)]
    expect(not graphics, f"it has packages for graphics cards: {graphics}")
    return [("Python packages", f"{len(found)}, none for graphics cards")]


def _packages(image: Image) -> set[str]:
    return {path.name.partition("-")[0].lower() for path in (image.root / PACKAGES).glob("*.dist-info")}


# ---------------------------------------------------------------- the engines


def every_engine(image: Image) -> list[Figure]:
    """Whisper, faster-whisper and pyannote.audio on the small checkpoints of the tests, for real."""
    data = volume(image, "engines")
    converter = "tests.checkpoints.convert_whisper"
    checkpoint = "/repository/tests/checkpoints/whisper-clip.pt"
    setting = replace(_with_repository(data), environment={"PYTHONPATH": "/repository"})
    status, said = run(
        with_entrypoint(image, PYTHON, "-m"), "convert", setting, converter, checkpoint, "/data/clip"
    )
    expect(status == 0, said)
    figures = []
    for name, asr in (("whisper", f"whisper:{checkpoint}"), ("faster-whisper", "faster-whisper:/data/clip")):
        diarizer = "pyannote:/repository/tests/checkpoints/pyannote-vbx"
        began = time.monotonic()
        status, said = run(image, name, _with_repository(data), *_on_clip(name, asr, diarizer))
        expect(status == 0, said)
        heard = _words((data / name / "result.txt").read_text(encoding="utf-8"))
        right = len(set(heard) & set(_words((DATA / "clip/supplied.txt").read_text(encoding="utf-8"))))
        expect(right >= 50, f"{name} heard {heard}")
        figures.append((f"{name}, pyannote.audio", f"{len(heard)} words in {time.monotonic() - began:.1f} s"))
    return figures


def _on_clip(name: str, asr: str, diarizer: str) -> tuple[str, ...]:
    options = (
        "-o",
        f"/data/{name}",
        "--formats",
        "json,txt",
        "--quiet",
        "--asr",
        asr,
        "--diarizer",
        diarizer,
    )
    return ("run", "/repository/tests/data/clip/clip.opus", *options)


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def _with_repository(data: Path) -> Setting:
    return Setting(data, volumes={"/repository": ROOT})


# ---------------------------------------------------------------- serving


def keyless(image: Image) -> list[Figure]:
    """It listens on every address, and so not before there is a key."""
    setting = Setting(volume(image, "keyless"))
    status, said = run(image, "keyless", setting)
    expect(status not in {0, 137}, "it serves without a key")
    expect("turnwise keys create" in said, said)
    status, said = run(image, "unhealthy", setting, "health")
    expect(status == 1 and said.count("\n") == 1, f"{status}: {said}")
    return [("without a key", "refused"), ("health check without a server", f"{status}, {said.strip()}")]


def first_day(image: Image) -> list[Figure]:
    """The demo: by the command, over HTTP, and with a stop in the middle."""
    setting = _with_repository(volume(image, "first"))
    by_command(image, setting)
    wanted = hash_by_command(image)
    key = made_key(image, setting, "key")
    figures = [("SHA-256 of the demo's VTT by the command", wanted)]

    with served(image, "serve", setting, key) as (container, api, first_seconds):
        health = container.execute(*image.config["Healthcheck"]["Test"][1:])
        expect(health.returncode == 0, health.stdout + health.stderr)
        figures.append(("health check", f"0, {health.stdout.strip()}"))
        began = time.monotonic()
        same(api, api.create(DATA / "demo"), wanted)
        figures.append(("the demo over HTTP", f"the same SHA-256, {time.monotonic() - began:.1f} s"))
        job = api.create(DATA / "demo")
        doing = in_the_middle(api, job)
        figures.append((f"stopped while it {doing}", stopped(container)))

    with served(image, "again", setting, key) as (container, api, seconds):
        expect(api.look(job)["state"] in {"queued", "running"}, "the job had ended before the stop")
        same(api, job, wanted)
        figures.append(("the stopped job", "went on, the same SHA-256"))
        figures.append(("stopped while idle", stopped(container)))
    # Others may be at work on this machine: the better one of two.
    expect(
        min(first_seconds, seconds) <= START_SECONDS, f"ready after {first_seconds:.1f} and {seconds:.1f} s"
    )
    limit = f"(at most {START_SECONDS:.0f})"
    return [
        *figures,
        ("ready after the first start, the second", f"{first_seconds:.1f}, {seconds:.1f} s {limit}"),
    ]


def stranger(image: Image) -> list[Figure]:
    """As another user, with a models folder of the user's own."""
    models = image.scratch / "models"
    copytree(image.root / "models", models, copy_function=_readable)
    setting = replace(_with_repository(volume(image, "stranger")), user=STRANGER)
    setting = replace(setting, volumes={**setting.volumes, "/models": models})
    key = made_key(image, setting, "stranger-key")
    with served(image, "stranger-serve", setting, key) as (_, api, _):
        same(api, api.create(DATA / "demo"), hash_by_command(image))
    return [(f"as user {STRANGER} with a models folder", "the same SHA-256")]


def without_models(image: Image) -> list[Figure]:
    """It says what is missing, by the command and over HTTP."""
    nothing = image.scratch / "nothing"
    nothing.mkdir()
    setting = replace(_with_repository(volume(image, "missing")), user=STRANGER)
    setting = replace(setting, volumes={**setting.volumes, "/models": nothing})
    status, said = run(image, "missing-command", setting, "run", *SEGMENT, "-o", "/data/out")
    expect(status not in {0, 137} and "turnwise models pull embedded" in said, said)
    key = made_key(image, setting, "missing-key")
    with served(image, "missing-serve", setting, key) as (_, api, _):
        job = api.wait(api.create(DATA / "demo"), PATIENCE)
        message = job["failure"]["message"] if job["state"] == "failed" else f"{job}"
        expect("turnwise models pull embedded" in message, message)
    return [("without models", message)]


# ---------------------------------------------------------------- parts of these


def by_command(image: Image, setting: Setting) -> None:
    """The demo's VTT as `turnwise run` writes it, into the volume."""
    status, said = run(image, "command", setting, "run", *SEGMENT, "-o", "/data/out", "--formats", "vtt")
    expect(status == 0, said)


def hash_by_command(image: Image) -> str:
    return sha256((image.scratch / "volumes/first/out/result.vtt").read_bytes()).hexdigest()


def made_key(image: Image, setting: Setting, name: str) -> str:
    status, said = run(image, name, setting, "keys", "create", "image")
    found = re.search(r"^tw_\S+$", said, re.MULTILINE)
    expect(status == 0 and found, said)
    return found[0] if found else ""


@contextmanager
def served(image: Image, name: str, setting: Setting, key: str) -> Iterator[tuple[Container, Api, float]]:
    """A container that serves, and the seconds until it was ready."""
    began = time.monotonic()
    container = start(image, name, setting)
    try:
        api = Api("http://127.0.0.1:8000", key)
        while not api.ready():
            expect(container.process.poll() is None, container.log.read_text(encoding="utf-8"))
            expect(time.monotonic() < began + PATIENCE, "it does not become ready")
            time.sleep(0.02)
        yield container, api, time.monotonic() - began
    finally:
        container.remove()


def stopped(container: Container) -> str:
    status, seconds = container.stop()
    expect(status == 0, f"its exit status is {status}: {container.log.read_text(encoding='utf-8')[-2000:]}")
    expect(seconds <= STOP_SECONDS, f"it stopped after {seconds:.1f} s")
    return f"{seconds:.1f} s (at most {STOP_SECONDS:.0f}), status 0"


def same(api: Api, job: str, wanted: str) -> None:
    """The job succeeds with the same captions."""
    seen = api.wait(job, PATIENCE)
    expect(seen["state"] == "succeeded", f"the job: {seen}")
    captions = api.get(f"/v1/jobs/{job}/export/vtt")
    expect(captions.startswith(b"WEBVTT"), "these are no captions")
    expect(sha256(captions).hexdigest() == wanted, "the captions differ from the command's")


def in_the_middle(api: Api, job: str) -> str:
    """Waits until a stage that takes long is half done, and returns its name."""
    ending = time.monotonic() + PATIENCE
    while time.monotonic() < ending:
        seen = api.look(job)
        expect(seen["state"] in {"queued", "running"}, f"the job has ended already: {seen}")
        if seen["state"] == "running" and seen["fraction"] >= 0.3:
            return f"was at {seen['stage']}, {seen['fraction']:.0%}"
        time.sleep(0.2)
    raise SystemExit("the job does not begin")


def _readable(source: str, target: str) -> None:
    Path(target).write_bytes(Path(source).read_bytes())


if __name__ == "__main__":
    main()
