"""Identifies a file or folder of weights by its first bytes; nothing is loaded and nothing runs."""

from __future__ import annotations

import codecs
import zipfile
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pipelines.errors import ModelUnusableError
from pipelines.models.manifest import FASTER_WHISPER, PYANNOTE, WHISPER

LONGEST_NAME_BYTES = 64
LONGEST_PICKLE_BYTES = 2**24  # searched in a checkpoint: names and shapes, no weights
READ_BY_TORCH = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # bzip2 and LZMA could not be read in bounds


class Kind(StrEnum):
    """What a path can be; the value is how messages name it."""

    WHISPER = "an openai-whisper model"
    CHECKPOINT = "a checkpoint of another model"
    ARCHIVE = "a zip archive without a model"
    CUT_OFF = "only a part of a file"
    SAFETENSORS = "a safetensors file"
    FASTER_WHISPER = "a faster-whisper folder"
    CONVERTED = "a CTranslate2 folder of another model"
    TRANSFORMERS = "a transformers folder"
    PYANNOTE = "a pyannote folder"
    FOLDER = "a folder without a model"
    TEXT = "a text"
    EMPTY = "an empty file"
    OTHER = "a file of an unknown kind"


@dataclass(frozen=True, slots=True)
class Family:
    """The models that one engine can load."""

    kind: Kind
    essential: str  # the file that makes a folder such a model; "" where the model is one .pt file
    remedy: str  # what to give instead of something else


FAMILIES = {
    WHISPER: Family(Kind.WHISPER, "", "give the .pt of a Whisper model"),
    FASTER_WHISPER: Family(
        Kind.FASTER_WHISPER,
        "model.bin",
        "give the folder that holds the model.bin of a Whisper model (ct2-transformers-converter makes one)",
    ),
    PYANNOTE: Family(
        Kind.PYANNOTE, "config.yaml", "give the folder of a pyannote pipeline, with config.yaml in it"
    ),
}
REMEDIES = {
    Kind.WHISPER: "choose --asr whisper",
    Kind.FASTER_WHISPER: "choose --asr faster-whisper",
    Kind.PYANNOTE: "choose --diarizer pyannote",
    Kind.CUT_OFF: "fetch it again",
    Kind.EMPTY: "fetch it again",
}
"""What to do with a path that another engine loads, or that an interrupted download left behind."""


def check(name: str, path: Path) -> None:
    """Raises ModelUnusableError, which says what to do, unless the path is a model of the family `name`.

    Models of a family that is not in FAMILIES are left to their engine.
    """
    family = FAMILIES.get(name)
    if family and (kind := kind_of(path)) is not family.kind:
        remedy = REMEDIES.get(kind, family.remedy)
        raise ModelUnusableError(f"{path.name} is {kind}, not {family.kind}: {remedy}.")


def kind_of(path: Path) -> Kind:
    """Returns the kind of a file or folder. Raises ModelUnusableError if it cannot be read."""
    try:
        return _kind_of_folder(path) if path.is_dir() else _kind_of_file(path)
    except OSError as error:
        raise ModelUnusableError(f"The model {path.name} cannot be read ({error.strerror}).") from error


def _kind_of_folder(folder: Path) -> Kind:
    if (folder / "model.bin").is_file():
        is_whisper = converted_name(folder / "model.bin") == "WhisperSpec"
        return Kind.FASTER_WHISPER if is_whisper else Kind.CONVERTED
    if (folder / "config.yaml").is_file():
        return Kind.PYANNOTE
    if any(folder.glob("*.safetensors")) or any(folder.glob("pytorch_model*.bin")):
        return Kind.TRANSFORMERS
    return Kind.FOLDER


def _kind_of_file(path: Path) -> Kind:
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        return Kind.EMPTY
    if zipfile.is_zipfile(path):
        return _kind_of_archive(path)
    if head.startswith(b"PK\x03\x04"):
        return Kind.CUT_OFF  # a zip archive has its table of contents at the end
    if head[8:10] == b'{"':
        return Kind.SAFETENSORS
    return Kind.OTHER if b"\0" in head or not _is_text(head) else Kind.TEXT


def _is_text(head: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # the last character may be cut
    except UnicodeDecodeError:
        return False
    return True


def _kind_of_archive(path: Path) -> Kind:
    """Identifies what `torch.save` wrote by the names in its pickle, which is searched, not loaded."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = (each for each in archive.infolist() if each.filename.endswith("/data.pkl"))
            member = next(found, None)
            if member is None or member.compress_type not in READ_BY_TORCH:
                return Kind.ARCHIVE
            with archive.open(member) as file:
                pickle = file.read(LONGEST_PICKLE_BYTES)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return Kind.CUT_OFF
    return Kind.WHISPER if b"model_state_dict" in pickle and b"n_audio_ctx" in pickle else Kind.CHECKPOINT


def converted_name(path: Path) -> str:
    """Returns the kind of model that a CTranslate2 file names, such as "WhisperSpec"; "" for other files.

    The file begins with its format's version (uint32) and that name (uint16 length, bytes, a zero).
    """
    with path.open("rb") as file:
        head = file.read(6 + LONGEST_NAME_BYTES)
    length = int.from_bytes(head[4:6], "little")
    name = head[6 : 6 + length].rstrip(b"\0")
    return name.decode("ascii") if 0 < length <= LONGEST_NAME_BYTES and name.isalnum() else ""


def size_bytes(path: Path) -> int:
    """Returns the size of a file, or of all files in a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
