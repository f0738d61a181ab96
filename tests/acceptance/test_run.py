"""`turnwise` as a user runs it: a real process, real engines, the demo segment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.acceptance.recordings import DEMO

pytestmark = [pytest.mark.acceptance, pytest.mark.engine]

TURNWISE = Path(sys.executable).with_name("turnwise")
COMMAND = [TURNWISE, "run", DEMO / "segment.opus", "--text", DEMO / "supplied.txt"]
HEADINGS = (
    "River Orrin talks open without the coast",
    "Who will pay for the new lock gates at Dunmore?",
    "Fishing crews block road to the talks",
)


def turnwise(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TURNWISE, *map(str, arguments)], capture_output=True, text=True, encoding="utf-8", check=False
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's results."""
    output = tmp_path_factory.mktemp("demo")
    process = turnwise("demo", "-o", output)
    assert process.returncode == 0, process.stderr
    (output / "stdout").write_text(process.stdout, encoding="utf-8")
    return output


@pytest.fixture(scope="module")
def result(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    return found


def test_the_demo_says_what_it_did(folder: Path) -> None:
    out = (folder / "stdout").read_text(encoding="utf-8")
    assert out.startswith("$ turnwise run ")
    assert out.count("speaker: ") == 4
    assert f"open {folder / 'result.html'} in a browser" in out


def test_the_result_obeys_its_schema(result: dict[str, Any]) -> None:
    schema = resources.files("pipelines").joinpath("formats/result.schema.json").read_text(encoding="utf-8")
    jsonschema.validate(result, json.loads(schema))


def test_the_four_voices_and_their_roles_are_found(result: dict[str, Any]) -> None:
    roles = sorted(speaker["role"] for speaker in result["speakers"])
    assert roles == ["analyst", "anchor", "correspondent", "narrator"]


def test_every_token_is_there_in_its_place(result: dict[str, Any]) -> None:
    supplied = (DEMO / "supplied.txt").read_text(encoding="utf-8")
    spans = [(token["char_start"], token["char_end"]) for token in result["tokens"]]
    assert [supplied[start:end] for start, end in spans] == supplied.split()


def test_the_pasted_headings_are_found(result: dict[str, Any]) -> None:
    unspoken = [finding["text"] for finding in result["findings"] if finding["kind"] == "not_spoken"]
    assert unspoken == list(HEADINGS)


def test_names_are_those_of_the_reference_and_none_is_invented(result: dict[str, Any]) -> None:
    names = {speaker["role"]: (speaker["name"], speaker["affiliation"]) for speaker in result["speakers"]}
    assert names == {
        "anchor": ("", ""),
        "narrator": ("", ""),
        "analyst": ("Ingrid Halloran", "University of Bramford"),
        "correspondent": ("Tobias Renner", "Northline"),
    }


def test_the_turns_are_those_of_the_reference(result: dict[str, Any]) -> None:
    """Nearly every token has the speaker who said it, whatever the speakers are called."""
    truth = json.loads((DEMO / "supplied_truth.json").read_text(encoding="utf-8"))
    turns = json.loads((DEMO / "turns.json").read_text(encoding="utf-8"))
    said_by = [turns[token["turn"]]["speaker"] if token["turn"] is not None else None for token in truth]
    pairs = Counter(
        (token["speaker"], speaker)
        for speaker, token in zip(said_by, result["tokens"], strict=True)
        if speaker and token["speaker"]
    )
    right = sum(
        max(pairs[found, speaker] for speaker in set(said_by)) for found in {found for found, _ in pairs}
    )
    assert right >= 0.98 * pairs.total()


def test_the_engines_are_named_with_their_models(result: dict[str, Any]) -> None:
    engines = result["engines"]
    assert engines["transcribe"]["engine"] == "pocketsphinx"
    assert len(engines["diarize"]["model_sha256"]) == 64


def test_another_run_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    process = turnwise(*COMMAND[1:], "-o", tmp_path, "--quiet")
    assert process.returncode == 0, process.stderr
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (folder / path.name).read_bytes(), path.name


def test_scores_of_the_demo(folder: Path) -> None:
    pytest.importorskip("meeteval")
    pytest.importorskip("pyannote.metrics")
    process = turnwise(
        *("score", folder / "result.json", "--reference", DEMO / "segment.rttm"),
        *("--reference", DEMO / "turns.json", "--supplied-truth", DEMO / "supplied_truth.json"),
    )
    assert process.returncode == 0, process.stderr
    assert {"DER", "WDER", "cpWER"} <= {line.split()[0] for line in process.stdout.splitlines()}


def test_without_a_text_what_is_heard_is_attributed(tmp_path: Path) -> None:
    process = turnwise("run", DEMO / "segment.opus", "-o", tmp_path, "--formats", "json", "--quiet")
    assert process.returncode == 0, process.stderr
    result = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert result["supplied"]["format"] == "heard"
    assert len({turn["speaker"] for turn in result["turns"]}) == 4


# --------------------------------------------------------------------------- Ctrl-C


def processes_with(mark: str) -> Iterator[str]:
    """Command lines of all processes that carry a variable in their environment."""
    for process in Path("/proc").iterdir():
        try:
            if process.name.isdigit() and mark.encode() in (process / "environ").read_bytes():
                yield (process / "cmdline").read_text(encoding="utf-8").replace("\0", " ")
        except OSError:  # gone, or not ours
            continue


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
def test_ctrl_c_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    mark = f"TURNWISE_TEST={uuid.uuid4()}"
    name, _, value = mark.partition("=")
    (tmp_path / "result.json").write_text("old", encoding="utf-8")
    command = [*map(str, COMMAND), "-o", str(tmp_path)]
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=os.environ | {name: value}, start_new_session=True
    ) as process:
        assert process.stderr
        lines = iter(process.stderr.readline, "")
        assert any(line.startswith("detect: done") for line in lines)
        process.send_signal(signal.SIGINT)
        last = list(lines)
    assert process.returncode == 130
    assert last[-1] == "turnwise: stopped: no result was written\n"
    assert not any("Traceback" in line for line in last)
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    assert (tmp_path / "result.json").read_text(encoding="utf-8") == "old"
    assert list(processes_with(mark)) == []
