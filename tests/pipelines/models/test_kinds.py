"""Telling what a file of weights is without loading it."""

from __future__ import annotations

import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from pipelines.errors import EngineMissingError, ModelUnusableError, OptionError
from pipelines.models import locate, size_bytes
from pipelines.models.kinds import LONGEST_PICKLE_BYTES, Kind, converted_name, kind_of

WHISPER_PICKLE = (
    b"\x80\x02}q\x00(X\x04\x00\x00\x00dimsX\x0b\x00\x00\x00n_audio_ctxX\x10\x00\x00\x00model_state_dict"
)


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def converted(folder: Path, name: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    head = (6).to_bytes(4, "little") + (len(name) + 1).to_bytes(2, "little") + name + b"\0"
    (folder / "model.bin").write_bytes(head + bytes(100))
    return folder


def test_checkpoints(tmp_path: Path) -> None:
    whisper = archive(tmp_path / "small.pt", {"small/data.pkl": WHISPER_PICKLE})
    assert kind_of(whisper) is Kind.WHISPER
    other = archive(tmp_path / "pytorch_model.bin", {"archive/data.pkl": b"state_dict pyannote.audio"})
    assert kind_of(other) is Kind.CHECKPOINT
    assert kind_of(archive(tmp_path / "photos.zip", {"a.jpg": b"1"})) is Kind.ARCHIVE
    assert kind_of(archive(tmp_path / "empty.zip", {})) is Kind.ARCHIVE


@pytest.mark.parametrize("share", [0.01, 0.3, 0.9, 0.999])
def test_a_part_of_a_download(tmp_path: Path, share: float) -> None:
    path = archive(tmp_path / "small.pt", {"small/data.pkl": WHISPER_PICKLE, "small/data/0": bytes(10_000)})
    content = path.read_bytes()
    path.write_bytes(content[: max(8, int(share * len(content)))])
    assert kind_of(path) is Kind.CUT_OFF


def test_damage_inside_an_archive(tmp_path: Path) -> None:
    path = archive(tmp_path / "small.pt", {"small/data.pkl": WHISPER_PICKLE})
    path.write_bytes(path.read_bytes().replace(b"n_audio_ctx", b"n_audio_xtc"))  # the checksum no longer fits
    assert kind_of(path) is Kind.CUT_OFF


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        (zipfile.ZIP_STORED, Kind.CHECKPOINT),
        (zipfile.ZIP_DEFLATED, Kind.CHECKPOINT),
        (zipfile.ZIP_BZIP2, Kind.ARCHIVE),
        (zipfile.ZIP_LZMA, Kind.ARCHIVE),
    ],
)
def test_a_pickle_of_any_size_is_searched_in_bounded_memory(tmp_path: Path, how: int, kind: Kind) -> None:
    path = tmp_path / "small.pt"
    with zipfile.ZipFile(path, "w", how) as file, file.open("small/data.pkl", "w") as member:
        for _ in range(8):
            member.write(bytes(2**24))
    tracemalloc.start()
    try:
        assert kind_of(path) is kind
        assert tracemalloc.get_traced_memory()[1] < 5 * LONGEST_PICKLE_BYTES
    finally:
        tracemalloc.stop()


def test_other_files(tmp_path: Path) -> None:
    path = tmp_path / "file"
    safetensors.numpy.save_file({"w": np.zeros(3, np.float32)}, path)
    assert kind_of(path) is Kind.SAFETENSORS
    for content, kind in [
        (b"", Kind.EMPTY),
        (b"<!DOCTYPE html><html>Access to model is restricted", Kind.TEXT),
        ("Überschrift 🙂".encode() * 60, Kind.TEXT),
        (b"\x80\x02]q\x00.", Kind.OTHER),
        (b"OggS\0\0\0", Kind.OTHER),
    ]:
        path.write_bytes(content)
        assert kind_of(path) is kind, content


def test_folders(tmp_path: Path) -> None:
    assert kind_of(converted(tmp_path / "small", b"WhisperSpec")) is Kind.FASTER_WHISPER
    assert kind_of(converted(tmp_path / "nllb", b"TransformerSpec")) is Kind.CONVERTED
    folder = tmp_path / "folder"
    folder.mkdir()
    assert kind_of(folder) is Kind.FOLDER
    (folder / "model.safetensors").write_bytes(b"1")
    assert kind_of(folder) is Kind.TRANSFORMERS
    (folder / "config.yaml").write_text("pipeline:", encoding="utf-8")
    assert kind_of(folder) is Kind.PYANNOTE


def test_a_missing_file_is_said_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ModelUnusableError, match=r"small\.pt cannot be read \(No such file"):
        kind_of(tmp_path / "small.pt")


@given(st.binary(max_size=100))
def test_any_bytes_are_something(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    folder = tmp_path_factory.mktemp("weights")
    (folder / "model.bin").write_bytes(content)
    assert kind_of(folder / "model.bin") in Kind
    assert kind_of(folder) in {Kind.CONVERTED, Kind.FASTER_WHISPER}
    assert converted_name(folder / "model.bin").isascii()


def test_what_is_expected_is_located(tmp_path: Path) -> None:
    path = archive(tmp_path / "small.pt", {"small/data.pkl": WHISPER_PICKLE})
    assert locate("whisper", str(path)) == path
    assert size_bytes(path) == path.stat().st_size


def test_what_is_not_is_told_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "small.pt"
    path.write_text("not found", encoding="utf-8")
    with pytest.raises(ModelUnusableError, match=r"^small\.pt is a text, not an openai.*: give the \.pt"):
        locate("whisper", str(path))
    folder = tmp_path / "3.1"
    folder.mkdir()
    (folder / "config.yaml").write_text("pipeline:", encoding="utf-8")
    with pytest.raises(ModelUnusableError, match=r"3\.1 is a pyannote folder.*: choose --diarizer pyannote"):
        locate("whisper", str(folder))
    assert size_bytes(folder) == 9


def test_what_is_nowhere_is_said_by_those_who_know_all_names(tmp_path: Path) -> None:
    with pytest.raises(EngineMissingError, match="no model at"):
        locate("whisper", str(tmp_path / "small.pt"))
    with pytest.raises(OptionError, match="no whisper model 'smaal'"):
        locate("whisper", "smaal")
