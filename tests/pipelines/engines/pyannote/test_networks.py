"""Networks are read from files that cannot run code, and from nothing else."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

from pipelines.engines.pyannote.imports import import_pyannote
from pipelines.engines.pyannote.networks import load_network
from pipelines.errors import ModelUnusableError
from tests.checkpoints.make_pyannote import CHECKPOINTS

FILE = CHECKPOINTS / "pyannote-vbx" / "segmentation" / "pytorch_model.bin"
import_pyannote()


class Harmful:
    """Runs a command where it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (self.command,)


@pytest.fixture
def checkpoint() -> dict[str, Any]:
    names = ("Specifications", "Problem", "Resolution")
    from pyannote.audio.core import task  # noqa: PLC0415

    with torch.serialization.safe_globals(
        [getattr(task, name) for name in names] + [torch.torch_version.TorchVersion]
    ):
        loaded: dict[str, Any] = torch.load(FILE, weights_only=True)
    return loaded


def refused(path: Path, expected: str) -> None:
    with pytest.raises(ModelUnusableError, match=expected) as caught:
        load_network(path)
    assert "\n" not in str(caught.value)
    assert str(path.parent.parent) not in str(caught.value)


def test_the_network_of_a_file_is_that_of_pyannote_itself() -> None:
    from pyannote.audio import Model  # noqa: PLC0415

    ours, stock = load_network(FILE), Model.from_pretrained(FILE)
    assert stock is not None
    assert type(ours) is type(stock)
    assert not ours.training
    assert all(torch.equal(ours.state_dict()[name], x) for name, x in stock.state_dict().items())
    assert ours.specifications == stock.specifications


def test_a_file_that_wants_to_run_a_command_is_refused(tmp_path: Path, checkpoint: dict[str, Any]) -> None:
    path, sign = tmp_path / "pytorch_model.bin", tmp_path / "sign"
    torch.save({**checkpoint, "callbacks": Harmful(f"touch {sign}")}, path)
    refused(path, "wants to run .*system")
    assert not sign.exists()


def test_one_of_the_old_format_is_refused_too(tmp_path: Path, checkpoint: dict[str, Any]) -> None:
    path, sign = tmp_path / "pytorch_model.bin", tmp_path / "sign"
    harmful = {**checkpoint, "callbacks": Harmful(f"touch {sign}")}
    torch.save(harmful, path, _use_new_zipfile_serialization=False)
    refused(path, "not a PyTorch checkpoint")
    assert not sign.exists()


def test_classes_of_the_training_framework_do_nothing(
    tmp_path: Path, checkpoint: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As kept in the checkpoint of pyannote/embedding, beside the weights."""
    stopping = type("EarlyStopping", (), {"__module__": "pytorch_lightning"})
    module = ModuleType("pytorch_lightning")
    vars(module)["EarlyStopping"] = stopping
    path = tmp_path / "pytorch_model.bin"
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pytorch_lightning", module)
        torch.save({**checkpoint, "callbacks": {stopping: {"patience": 3}, "one": stopping()}}, path)
    assert load_network(path)


class Attribute:
    """As Python 3.11.0 to 3.11.3 wrote members of enumerations: `getattr(owner, name)`."""

    def __init__(self, owner: object, name: str) -> None:
        self.asked = owner, name

    def __reduce__(self) -> tuple[Any, tuple[object, str]]:
        return getattr, self.asked


def test_members_of_enumerations_are_read_as_every_python_wrote_them(
    tmp_path: Path, checkpoint: dict[str, Any]
) -> None:
    from pyannote.audio.core.task import Problem  # noqa: PLC0415

    path = tmp_path / "pytorch_model.bin"
    torch.save({**checkpoint, "callbacks": Attribute(Problem, Problem.MULTI_LABEL_CLASSIFICATION.name)}, path)
    assert load_network(path)


@pytest.mark.parametrize("name", ["mro", "__init__", "_member_map_"])
def test_no_other_attribute_of_anything_is_read(
    tmp_path: Path, checkpoint: dict[str, Any], name: str
) -> None:
    from pyannote.audio.core.task import Problem, Specifications  # noqa: PLC0415

    path = tmp_path / "pytorch_model.bin"
    for owner in (Problem, Specifications):
        torch.save({**checkpoint, "callbacks": Attribute(owner, name)}, path)
        refused(path, "not a PyTorch checkpoint")


def test_the_class_of_the_network_must_be_one_of_pyannote(tmp_path: Path, checkpoint: dict[str, Any]) -> None:
    checkpoint["pyannote.audio"]["architecture"] = {"module": "antigravity", "class": "Model"}
    path = tmp_path / "pytorch_model.bin"
    torch.save(checkpoint, path)
    refused(path, "antigravity")
    assert "antigravity" not in sys.modules


def test_a_file_must_not_choose_the_function_that_makes_the_network(
    tmp_path: Path, checkpoint: dict[str, Any]
) -> None:
    checkpoint["hyper_parameters"]["_instantiator"] = "os.system"
    path = tmp_path / "pytorch_model.bin"
    torch.save(checkpoint, path)
    refused(path, "own choice")


def test_weights_that_do_not_fit_the_network(tmp_path: Path, checkpoint: dict[str, Any]) -> None:
    checkpoint["hyper_parameters"]["lstm"]["hidden_size"] = 7
    path = tmp_path / "pytorch_model.bin"
    torch.save(checkpoint, path)
    refused(path, "is not a network")


def test_a_model_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "pytorch_model.bin"
    torch.save({"model_state_dict": {"weight": torch.zeros(2)}}, path)
    refused(path, "not one of pyannote")


@pytest.mark.parametrize("share", [0.0, 0.2, 0.9, 0.999])
def test_a_file_that_is_cut_off(tmp_path: Path, share: float) -> None:
    data = FILE.read_bytes()
    path = tmp_path / "pytorch_model.bin"
    path.write_bytes(data[: int(share * len(data))])
    refused(path, "fetch it again")


def test_a_text_and_a_zip_archive(tmp_path: Path) -> None:
    text, archive = tmp_path / "a.bin", tmp_path / "b.bin"
    text.write_text("version https://git-lfs.github.com/spec/v1\n", encoding="utf-8")
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("readme.txt", "hello")
    refused(text, "fetch it again")
    refused(archive, "fetch it again")
