"""Whether two engines fit into memory side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from pipelines.engines import footprint
from pipelines.engines.embedded.diarizer import EmbeddedDiarizer

GIB = 1 << 30


@dataclass(frozen=True)
class Heavy:
    weights_bytes: int


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """16 GiB are free, and no container says otherwise."""
    monkeypatch.setattr(footprint, "MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(footprint, "LIMITS", tmp_path)
    (tmp_path / "meminfo").write_text(f"MemTotal: 1 kB\nMemAvailable:   {16 * GIB // 1024} kB\n")
    return tmp_path


@pytest.mark.parametrize(("size_bytes", "together"), [(GIB // 2, True), (3 * GIB, True), (5 * GIB, False)])
def test_twice_the_weights_and_what_they_compute_with(machine: Path, size_bytes: int, together: bool) -> None:
    assert footprint.fits(Heavy(size_bytes), Heavy(3 * GIB)) is together


def test_small_engines_and_what_was_brought_along_always_fit(machine: Path) -> None:
    (machine / "meminfo").write_text("MemAvailable: 1 kB\n")
    assert footprint.fits(Heavy(GIB), EmbeddedDiarizer())
    assert not footprint.fits(Heavy(GIB), Heavy(GIB))


@pytest.mark.parametrize(("limit", "free"), [("max", 16 * GIB), (str(3 * GIB), 2 * GIB)])
def test_a_container_has_less_than_its_machine(machine: Path, limit: str, free: int) -> None:
    (machine / "memory.max").write_text(f"{limit}\n")
    (machine / "memory.current").write_text(f"{GIB}\n")
    (machine / "memory.stat").write_text("anon 5\ninactive_file 0\n")
    assert footprint.free_bytes() == free


def test_the_cache_of_files_is_free(machine: Path) -> None:
    """Weights that have just been hashed are in it: 12 GiB, of which 1 is used and 7 hold files."""
    (machine / "memory.max").write_text(f"{12 * GIB}\n")
    (machine / "memory.current").write_text(f"{8 * GIB}\n")
    (machine / "memory.stat").write_text(f"anon {GIB}\nfile {7 * GIB}\ninactive_file {7 * GIB}\nslab 3\n")
    assert footprint.free_bytes() == 11 * GIB
    assert footprint.fits(Heavy(3 * GIB), Heavy(GIB))


@pytest.mark.parametrize("content", ["", "MemAvailable: much\n"])
def test_a_system_that_does_not_say_is_trusted(machine: Path, content: str) -> None:
    (machine / "meminfo").write_text(content)
    assert footprint.fits(Heavy(GIB), Heavy(GIB))
