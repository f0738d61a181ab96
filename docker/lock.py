"""Locks what the images install: one list for each in docker/requirements/, every file with its SHA-256.

    pip install uv
    python docker/lock.py --torch PAGE            # adds what is new in pyproject.toml, keeps other versions
    python docker/lock.py --torch PAGE --upgrade  # takes the newest of everything

uv resolves for other machines from the metadata alone: it downloads only source archives. PAGE is a web page
or a folder that lists PyTorch's builds for processors; the package index has only the builds for CUDA,
gigabytes in size. uv asks the index that UV_DEFAULT_INDEX names, or else its default.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docker" / "requirements"
GLIBC = "manylinux_2_36"  # Debian 12's
TORCH = "2.13.0"  # as in the Makefile: what the tests run on
SERVICE = ("service", "telemetry")
ENGINES = (*SERVICE, "all")
FROM_SOURCE = ("openai-whisper",)  # plain Python that is published as source only


@dataclass(frozen=True, slots=True)
class Image:
    """What one image installs."""

    extras: tuple[str, ...]
    machines: tuple[str, ...] = ("x86_64",)
    torch: str = ""
    without: tuple[str, ...] = ()
    """Required by a package in it, but not needed by anything that is run."""
    also: tuple[str, ...] = ()
    """Needed by what is in it, but not required by any package."""


IMAGES = {
    "embedded": Image(SERVICE, ("x86_64", "aarch64")),
    # torchcodec decodes files, and our engine is given samples: see pipelines/engines/pyannote/imports.py.
    # triton compiles for graphics cards; without one Whisper falls back to plain PyTorch.
    "cpu": Image(ENGINES, torch=f"{TORCH}+cpu", without=("torchcodec", "triton")),
    # CTranslate2 is built for CUDA 12 and loads cuBLAS by its name; torch is for CUDA 13.
    "gpu": Image(ENGINES, torch=TORCH, without=("torchcodec",), also=("nvidia-cublas-cu12>=12.4,<13",)),
}
BUILDING = ("pip", "setuptools>=77,<90")  # setuptools: as in pyproject.toml

HEADER = """\
# Made by docker/lock.py, which says how to make it again; not to be edited.
--only-binary :all:
"""

Pins = dict[str, tuple[str, frozenset[str]]]
"""Version and SHA-256 sums of the acceptable files, by name."""


def main() -> None:
    parser = ArgumentParser(description="Lock what the images install.")
    parser.add_argument("--torch", required=True, metavar="PAGE", help="where torch for processors is")
    parser.add_argument("--upgrade", action="store_true", help="take the newest, not what is locked")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        for name, image in IMAGES.items():
            options = list(_of_image(image, given.torch, scratch))
            _write(
                name, _merged(_resolved(name, options, machine, given.upgrade) for machine in image.machines)
            )
        options = [str(_listed(scratch / "building.in", BUILDING))]
        _write("build", _resolved("build", options, "x86_64", given.upgrade))


def _of_image(image: Image, torch_page: str, scratch: Path) -> Iterator[str]:
    yield str(ROOT / "pyproject.toml")
    for extra in image.extras:
        yield f"--extra={extra}"
    yield str(_listed(scratch / "also.in", image.also))
    yield f"--excludes={_listed(scratch / 'without.in', image.without)}"
    if image.torch:
        yield f"--constraint={_listed(scratch / 'torch.in', [f'torch=={image.torch}'])}"
    if image.torch.endswith("+cpu"):
        yield f"--find-links={torch_page}"


def _listed(path: Path, lines: Iterable[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def _resolved(name: str, options: list[str], machine: str, upgrade: bool) -> Pins:
    """Resolves twice: first the versions, where uv prefers those already in its output; then their files."""
    with TemporaryDirectory() as folder:
        versions, files = Path(folder, "versions.txt"), Path(folder, "pylock.toml")
        locked = FOLDER / f"{name}.txt"
        if locked.exists() and not upgrade:
            copyfile(locked, versions)
        _compile(*options, f"--output-file={versions}", f"--python-platform={machine}-{GLIBC}")
        options = [*options, f"--constraint={versions}", f"--output-file={files}", "--format=pylock.toml"]
        _compile(*options, f"--python-platform={machine}-{GLIBC}")
        packages = tomllib.loads(files.read_text(encoding="utf-8"))["packages"]
    return {package["name"]: (package["version"], _sums(package)) for package in packages}


def _compile(*options: str) -> None:
    fixed = ("--quiet", "--python-version=3.11", "--only-binary=:all:")
    sources = (f"--no-binary={name}" for name in FROM_SOURCE)
    command = [sys.executable, "-m", "uv", "pip", "compile", *options, *fixed, *sources]
    if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode != 0:
        raise SystemExit("docker/lock.py: uv found no versions that fit.")


def _sums(package: dict[str, object]) -> frozenset[str]:
    files = package.get("wheels") or [package["sdist"]]
    return frozenset(file["hashes"]["sha256"] for file in files)  # type: ignore[attr-defined]


def _merged(pins_of_machines: Iterable[Pins]) -> Pins:
    merged: Pins = {}
    for pins in pins_of_machines:
        for name, (version, sums) in pins.items():
            locked, known = merged.get(name, (version, frozenset()))
            if locked != version:
                raise SystemExit(f"{name} is {locked} on one kind of machine and {version} on another.")
            merged[name] = version, known | sums
    return merged


def _write(name: str, pins: Pins) -> None:
    lines = [HEADER]
    lines += [f"--no-binary {package}\n" for package in FROM_SOURCE if package in pins]
    for package, (version, sums) in sorted(pins.items()):
        hashes = "".join(f" \\\n    --hash=sha256:{value}" for value in sorted(sums))
        lines.append(f"{package}=={version}{hashes}\n")
    (FOLDER / f"{name}.txt").write_text("".join(lines), encoding="utf-8")
    print(f"{name}: {len(pins)} packages")


if __name__ == "__main__":
    main()
