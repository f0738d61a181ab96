"""Pipeline folders: what they are made of, and all that can be wrong with them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines.engines.pyannote.folder import AGGLOMERATIVE, VBX, load_recipe
from pipelines.errors import ModelUnusableError
from tests.checkpoints.make_pyannote import CHECKPOINTS


@pytest.fixture(params=["pyannote-vbx", "pyannote-ahc"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """One that may be broken."""
    return Path(shutil.copytree(CHECKPOINTS / request.param, tmp_path / "mine"))


def edit(folder: Path, **settings: object) -> None:
    """Other settings of the pipeline; None removes one."""
    path = folder / "config.yaml"
    configuration: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    both = {**configuration["pipeline"]["params"], **settings}
    configuration["pipeline"]["params"] = {name: value for name, value in both.items() if value is not None}
    path.write_text(yaml.safe_dump(configuration), encoding="utf-8")


def refused(folder: Path, expected: str) -> None:
    with pytest.raises(ModelUnusableError, match=expected) as caught:
        load_recipe(folder)
    assert "\n" not in str(caught.value)
    assert str(folder.parent) not in str(caught.value)


def test_one_like_community_1() -> None:
    recipe = load_recipe(CHECKPOINTS / "pyannote-vbx")
    assert recipe.clustering == VBX
    assert recipe.clustering_parameters == {"threshold": 0.6, "Fa": 0.07, "Fb": 0.8}
    assert recipe.plda == CHECKPOINTS / "pyannote-vbx" / "plda"
    assert recipe.exclude_overlap
    assert recipe.segmentation_step == 0.1


def test_one_like_3_1_whose_parts_are_hub_addresses() -> None:
    recipe = load_recipe(CHECKPOINTS / "pyannote-ahc")
    assert recipe.clustering == AGGLOMERATIVE
    assert recipe.clustering_parameters["min_cluster_size"] == 12
    assert recipe.plda is None
    assert recipe.segmentation.parent.name == "segmentation"


@pytest.mark.parametrize(
    ("named", "place"),
    [
        ("pyannote/segmentation-3.0", "segmentation"),
        ("pyannote/segmentation-3.0", "segmentation-3.0"),
        ("pyannote/segmentation-3.0", "pyannote/segmentation-3.0"),
        ("pyannote/segmentation-3.0@2.1", "segmentation-3.0"),
        ("$model/parts/one", "parts/one"),
        ("parts/one/pytorch_model.bin", "parts/one"),
        ({"checkpoint": "pyannote/segmentation-3.0", "subfolder": "one"}, "one"),
        ({"checkpoint": "pyannote/segmentation-3.0"}, "segmentation-3.0"),
        (None, "segmentation"),
    ],
)
def test_where_a_part_may_lie(folder: Path, named: object, place: str) -> None:
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    if place != "segmentation":
        shutil.move(folder / "segmentation", folder / place)
    edit(folder, segmentation=named)
    assert load_recipe(folder).segmentation == folder / place / "pytorch_model.bin"


def test_a_part_elsewhere_by_its_path(folder: Path, tmp_path: Path) -> None:
    path = shutil.move(folder / "segmentation" / "pytorch_model.bin", tmp_path / "mine.bin")
    edit(folder, segmentation=str(path))
    assert load_recipe(folder).segmentation == tmp_path / "mine.bin"


@pytest.mark.parametrize("part", ["segmentation", "embedding"])
def test_a_network_is_missing(folder: Path, part: str) -> None:
    (folder / part / "pytorch_model.bin").unlink()
    refused(folder, f"lacks its {part} part .*nothing is fetched")


@pytest.mark.parametrize("name", ["plda.npz", "xvec_transform.npz"])
def test_a_part_of_the_plda_is_missing(tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(CHECKPOINTS / "pyannote-vbx", tmp_path / "mine"))
    (folder / "plda" / name).unlink()
    refused(folder, "lacks its plda part")


def test_no_configuration(folder: Path) -> None:
    (folder / "config.yaml").unlink()
    refused(folder, r"lacks config\.yaml")


@pytest.mark.parametrize("text", ["", "a: [", "just words", "- a\n- b\n", "pipeline: 3\n", "\ufeff\x00"])
def test_a_configuration_that_is_none(folder: Path, text: str) -> None:
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    refused(folder, "fetch it again")


def test_a_configuration_that_runs_code(folder: Path) -> None:
    (folder / "config.yaml").write_text("a: !!python/object/apply:os.system ['false']", encoding="utf-8")
    refused(folder, "not YAML")


def test_a_pipeline_for_something_else(folder: Path) -> None:
    path = folder / "config.yaml"
    text = path.read_text(encoding="utf-8").replace("SpeakerDiarization", "VoiceActivityDetection")
    path.write_text(text, encoding="utf-8")
    refused(folder, "VoiceActivityDetection")


def test_a_clustering_that_we_have_not(folder: Path) -> None:
    edit(folder, clustering="KMeansClustering")
    refused(folder, "KMeansClustering")


def test_a_parameter_is_missing(folder: Path) -> None:
    path = folder / "config.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("threshold:", "treshold:"), encoding="utf-8")
    refused(folder, "'threshold'")
