"""Pulls from a hub on this machine: the real huggingface_hub asks it, real processes are killed."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines import cli
from pipelines.errors import EngineMissingError, ModelCorruptError, ModelFetchError, ModelGatedError
from pipelines.models import download, fetching, hub
from pipelines.models import locating as models
from pipelines.models import lockfile as lock
from pipelines.models.locating import State
from pipelines.models.manifest import MODELS, Address, Hub, Model
from tests.support.hub_server import Fault, Holding, HubServer, serve

pytest.importorskip("huggingface_hub")

TINY = "faster-whisper:tiny"
TINY_REPOSITORY = "Systran/faster-whisper-tiny"
WEIGHTS = bytes(range(256)) * 8192  # 2 MiB: several blocks
BLOB = f"/blobs/{TINY_REPOSITORY}/model.bin"
CHECKPOINT = WEIGHTS[::-1]
TOKEN = "hf_goodtoken"

CONFIG_31 = b"""pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    embedding: pyannote/wespeaker-voxceleb-resnet34-LM
    segmentation: pyannote/segmentation-3.0
"""


def repositories() -> dict[str, Holding]:
    """What the hub holds, made small: the files and their names are those of the real repositories."""
    return {
        TINY_REPOSITORY: Holding(
            {
                ".gitattributes": b"*.bin filter=lfs\n",
                "README.md": b"# tiny",
                "config.json": b"{}",
                "model.bin": WEIGHTS,
                "tokenizer.json": b'{"a": 1}',
                "vocabulary.txt": b"a\nb\n",
            }
        ),
        "pyannote/speaker-diarization-community-1": Holding(
            {
                "README.md": b"# community",
                "config.yaml": b"pipeline: x",
                "segmentation/pytorch_model.bin": b"s" * 5000,
                "embedding/pytorch_model.bin": b"e" * 9000,
                "plda/plda.npz": b"p" * 100,
                "plda/xvec_transform.npz": b"x" * 100,
            },
            gated=True,
        ),
        "pyannote/speaker-diarization-3.1": Holding(
            {"config.yaml": CONFIG_31, "README.md": b"# 3.1", "handler.py": b"import os"}, gated=True
        ),
        "pyannote/segmentation-3.0": Holding(
            {"config.yaml": b"s: 1", "pytorch_model.bin": b"s" * 5000, "example.png": b"png"}, gated=True
        ),
        "pyannote/wespeaker-voxceleb-resnet34-LM": Holding(
            {"config.yaml": b"e: 1", "pytorch_model.bin": b"e" * 9000}
        ),
    }


def small_models(address: str) -> dict[str, Model]:
    """The real one, but that whisper:tiny is CHECKPOINT, and that the hub's weights may be small ones."""
    return {name: small(model, address) for name, model in MODELS.items()}


def small(model: Model, address: str) -> Model:
    if isinstance(model.source, Hub):
        parts = tuple(replace(part, sums={}) for part in model.source.repositories)
        return replace(model, source=Hub(parts))
    if model.name != "whisper:tiny":
        return model
    sha256 = hashlib.sha256(CHECKPOINT).hexdigest()
    return replace(model, size_bytes=len(CHECKPOINT), sha256=sha256, source=Address(f"{address}/tiny.pt"))


@pytest.fixture(scope="module")
def running() -> Iterator[HubServer]:
    with serve() as server:
        yield server


@pytest.fixture
def server(running: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HubServer:
    """A hub where nothing goes wrong yet, an empty models folder, and no token."""
    running.repositories = repositories()
    running.files = {"/tiny.pt": CHECKPOINT}
    running.renamed = {}
    running.tokens = {TOKEN}
    running.faults.clear()
    running.asked.clear()
    monkeypatch.setattr(models, "MODELS", small_models(running.address))
    monkeypatch.setattr(download, "PAUSE", 0.0)
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("HF_ENDPOINT", running.address)
    monkeypatch.setenv(fetching.FOLDER_VARIABLE, str(tmp_path / "models"))
    for name in hub.TOKEN_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    return running


@pytest.fixture
def member(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """A token of somebody who has accepted all terms."""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    for holding in server.repositories.values():
        holding.members.add(TOKEN)
    return server


def files(folder: Path) -> dict[str, bytes]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def rests(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob(".*") if path.name != fetching.BUSY)


# --------------------------------------------------------------------------- a pull


def test_a_model_of_the_hub(server: HubServer) -> None:
    assert [each.name for each in models.pull([TINY])] == [TINY]
    path = models.locate("faster-whisper", "tiny")
    assert files(path) == {
        "config.json": b"{}",
        "model.bin": WEIGHTS,
        "tokenizer.json": b'{"a": 1}',
        "vocabulary.txt": b"a\nb\n",
    }
    assert models.state(TINY) is State.PRESENT
    assert rests(models.folder()) == []


def test_the_lock_says_what_came(server: HubServer, tmp_path: Path) -> None:
    models.pull([TINY])
    pulled = lock.load(models.folder())[TINY]
    assert pulled.revisions == {TINY_REPOSITORY: "c" * 40}
    assert pulled.files["model.bin"].size_bytes == len(WEIGHTS)
    before = (models.folder() / lock.NAME).read_bytes()
    shutil.rmtree(tmp_path / "models")
    models.pull([TINY])
    assert (models.folder() / lock.NAME).read_bytes() == before


def test_a_second_pull_asks_nobody(server: HubServer) -> None:
    models.pull([TINY])
    server.asked.clear()
    assert models.pull([TINY]) == ()
    assert server.asked == []


def test_progress_rises_to_the_whole(server: HubServer) -> None:
    told: list[tuple[str, int, int]] = []
    models.pull([TINY], lambda model, done, total: told.append((model.name, done, total)))
    done = [each[1] for each in told]
    assert done == sorted(done)
    assert told[-1] == (TINY, told[-1][2], told[-1][2])
    assert {each[2] for each in told} == {len(WEIGHTS) + 2 + 8 + 4}


def test_a_pipeline_of_three_repositories_stands_alone(member: HubServer) -> None:
    models.pull(["pyannote:3.1"])
    path = models.locate("pyannote", "3.1")
    assert set(files(path)) == {
        "config.yaml",
        "segmentation/config.yaml",
        "segmentation/pytorch_model.bin",
        "embedding/config.yaml",
        "embedding/pytorch_model.bin",
    }
    config = (path / "config.yaml").read_text()
    assert "embedding: $model/embedding\n" in config
    assert "segmentation: $model/segmentation\n" in config
    assert "pyannote/" not in config
    assert len(lock.load(models.folder())["pyannote:3.1"].revisions) == 3
    assert models.pull(["pyannote:3.1"]) == ()


def test_community_1(member: HubServer) -> None:
    models.pull(["pyannote:community-1"])
    assert set(files(models.locate("pyannote", "community-1"))) == {
        "config.yaml",
        "segmentation/pytorch_model.bin",
        "embedding/pytorch_model.bin",
        "plda/plda.npz",
        "plda/xvec_transform.npz",
    }


def test_a_checkpoint_of_openai(server: HubServer) -> None:
    models.pull(["whisper:tiny"])
    assert models.locate("whisper", "tiny").read_bytes() == CHECKPOINT
    assert rests(models.folder()) == []


# --------------------------------------------------------------------------- tokens and terms


def test_a_model_that_is_not_gated_is_fetched_without_the_token(member: HubServer) -> None:
    models.pull([TINY])
    assert {each.token for each in member.asked} == {""}


def test_the_token_is_sent_to_gated_repositories_alone(member: HubServer) -> None:
    models.pull(["pyannote:3.1"])
    gated = {each.token for each in member.asked if "wespeaker" not in each.path and "blobs" not in each.path}
    assert gated == {TOKEN}
    assert {each.token for each in member.asked if "wespeaker" in each.path or "blobs" in each.path} == {""}
    assert any("/blobs/pyannote/segmentation-3.0/" in each.path for each in member.asked)


def test_our_own_variable_comes_first(member: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    monkeypatch.setenv("TURNWISE_HF_TOKEN", f" {TOKEN}\n")
    models.pull(["pyannote:community-1"])


def test_without_a_token_the_page_is_named(server: HubServer) -> None:
    with pytest.raises(
        ModelGatedError, match=r"https://huggingface.co/pyannote/speaker-diarization-community-1 "
    ):
        models.pull(["pyannote:community-1"])
    assert not (models.folder() / "pyannote").exists()


def test_terms_not_accepted(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    page = r"accept its terms at https://huggingface.co/pyannote/speaker-diarization-community-1"
    with pytest.raises(ModelGatedError, match=page):
        models.pull(["pyannote:community-1"])


def test_terms_of_a_part_not_accepted(member: HubServer) -> None:
    member.repositories["pyannote/segmentation-3.0"].members.clear()
    with pytest.raises(
        ModelGatedError, match=r"accept its terms at https://huggingface.co/pyannote/segmentation-3.0"
    ):
        models.pull(["pyannote:3.1"])
    assert not any("/blobs/" in each.path for each in member.asked)  # told before anything is downloaded


def test_a_wrong_token(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_expired")
    with pytest.raises(ModelGatedError, match="does not know the token in TURNWISE_HF_TOKEN or HF_TOKEN"):
        models.pull(["pyannote:community-1"])


@pytest.mark.parametrize("token", ["", "hf_secret"])
def test_a_token_is_never_told(
    server: HubServer, token: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    assert cli.main(["models", "pull", "pyannote:3.1"]) == 3
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    assert not token or token not in told.out + told.err


# --------------------------------------------------------------------------- what goes wrong


def test_a_hub_that_cannot_be_reached(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://localhost:9")
    with pytest.raises(ModelFetchError, match=r"cannot be reached for Systran.*or copy the models folder"):
        models.pull([TINY])


@pytest.mark.parametrize("status", [500, 404, 429])
def test_a_hub_that_is_out_of_order(server: HubServer, status: int) -> None:
    server.fail(f"/api/models/{TINY_REPOSITORY}", Fault(status=status))
    with pytest.raises(ModelFetchError, match=f"with status {status}"):
        models.pull([TINY])


def test_a_repository_that_was_renamed(member: HubServer) -> None:
    """As that of faster-whisper's turbo was."""
    for name in (TINY_REPOSITORY, "pyannote/segmentation-3.0"):
        member.renamed[name] = f"new/{name.replace('/', '-')}"
        member.repositories[member.renamed[name]] = member.repositories.pop(name)
    models.pull([TINY, "pyannote:3.1"])
    models.verify([TINY, "pyannote:3.1"])


def test_a_repository_that_has_gone(server: HubServer) -> None:
    del server.repositories[TINY_REPOSITORY]
    with pytest.raises(ModelFetchError, match=f"no longer has the repository {TINY_REPOSITORY}:"):
        models.pull([TINY])


def test_weights_that_this_version_does_not_know(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "MODELS", MODELS)
    with pytest.raises(ModelFetchError, match=r"model\.bin of Systran.* is not the file that this version"):
        models.pull([TINY])
    assert server.ranges("model.bin") == []


def test_a_repository_without_the_weights(server: HubServer) -> None:
    del server.repositories[TINY_REPOSITORY].files["model.bin"]
    with pytest.raises(ModelFetchError, match=r"no longer holds model\.bin"):
        models.pull([TINY])


def test_a_config_that_names_other_parts(member: HubServer) -> None:
    member.repositories["pyannote/speaker-diarization-3.1"].files["config.yaml"] = b"pipeline: y"
    with pytest.raises(ModelFetchError, match=r"config\.yaml no longer names pyannote/segmentation-3\.0"):
        models.pull(["pyannote:3.1"])
    assert models.state("pyannote:3.1") is State.MISSING


@pytest.mark.parametrize("path", ["../x.bin", "/x.bin", "a/../../x.bin", "a\\x.bin"])
def test_a_path_that_leads_elsewhere(member: HubServer, path: str) -> None:
    member.repositories["pyannote/speaker-diarization-community-1"].files[path] = b"x"
    with pytest.raises(ModelFetchError, match="in a way that cannot be trusted"):
        models.pull(["pyannote:community-1"])


@pytest.mark.parametrize("name", ["model.bin", "config.json"])
def test_another_file_than_the_hub_describes(server: HubServer, name: str) -> None:
    """Large ones have a SHA-256 there, small ones git's SHA-1."""
    holding = server.repositories[TINY_REPOSITORY]
    holding.claims[name] = bytes([holding.files[name][0] ^ 1]) + holding.files[name][1:]
    with pytest.raises(ModelFetchError, match=rf"{name} from .* is wrong"):
        models.pull([TINY])
    assert models.state(TINY) is State.MISSING
    holding.claims.clear()
    models.pull([TINY])
    models.verify([TINY])


def test_a_broken_connection_does_not_show(server: HubServer) -> None:
    server.fail(BLOB, Fault(cut_bytes=300_000), Fault(cut_bytes=900_000))
    models.pull([TINY])
    assert server.ranges(BLOB) == ["", "bytes=300000-", "bytes=1200000-"]
    models.verify([TINY])


def test_the_next_pull_goes_on_where_the_last_one_stopped(server: HubServer) -> None:
    server.fail(BLOB, Fault(cut_bytes=300_000), Fault(status=404))
    with pytest.raises(ModelFetchError, match="with status 404"):
        models.pull([TINY])
    assert models.state(TINY) is State.MISSING
    assert models.available("faster-whisper") == []
    server.asked.clear()
    models.pull([TINY])
    assert "bytes=300000-" in server.ranges("model.bin")
    assert server.ranges("config.json") == []  # was complete
    models.verify([TINY])


def test_a_new_revision_between_two_tries(server: HubServer) -> None:
    server.fail(BLOB, Fault(cut_bytes=300_000), Fault(status=404))
    with pytest.raises(ModelFetchError):
        models.pull([TINY])
    holding = server.repositories[TINY_REPOSITORY]
    holding.commit = "d" * 40
    holding.files |= {"model.bin": CHECKPOINT, "config.json": b"[]"}
    del holding.files["vocabulary.txt"]
    models.pull([TINY])
    assert files(models.locate("faster-whisper", "tiny")) == {
        "config.json": b"[]",
        "model.bin": CHECKPOINT,
        "tokenizer.json": b'{"a": 1}',
    }


def test_a_damaged_file_alone_is_fetched_again(server: HubServer) -> None:
    models.pull([TINY])
    path = models.find(TINY)
    (path / "tokenizer.json").write_bytes(b"damaged")
    with pytest.raises(ModelCorruptError, match="models pull faster-whisper:tiny"):
        models.locate("faster-whisper", "tiny")
    server.asked.clear()
    models.pull([TINY])
    models.verify([TINY])
    assert [each.path.rpartition("/")[2] for each in server.asked if each.method == "GET"][1:] == [
        "tokenizer.json"
    ]
    assert rests(models.folder()) == []


def test_mending_takes_the_revision_of_the_lock(server: HubServer) -> None:
    models.pull([TINY])
    (models.find(TINY) / "config.json").unlink()
    server.asked.clear()
    models.pull([TINY])
    assert f"/api/models/{TINY_REPOSITORY}/revision/{'c' * 40}" in {each.path for each in server.asked}


def test_a_lock_in_an_empty_folder_decides_what_is_pulled(server: HubServer) -> None:
    models.pull([TINY])
    shutil.rmtree(models.find(TINY))
    server.repositories[TINY_REPOSITORY].files["config.json"] = b"[]"
    with pytest.raises(ModelFetchError, match=r"is not what lock\.json .* records for the same revision"):
        models.pull([TINY])
    assert models.state(TINY) is State.MISSING
    server.repositories[TINY_REPOSITORY].commit = "d" * 40
    with pytest.raises(ModelFetchError, match=r"no longer has the revision that lock\.json"):
        models.pull([TINY])


def test_what_was_copied_in_is_adopted_without_a_download(server: HubServer) -> None:
    path = models.folder() / MODELS[TINY].path
    path.mkdir(parents=True)
    for name, data in server.repositories[TINY_REPOSITORY].files.items():
        (path / name).write_bytes(data)
    assert models.state(TINY) is State.COPIED
    models.pull([TINY])
    assert models.state(TINY) is State.PRESENT
    assert [each.path for each in server.asked] == [f"/api/models/{TINY_REPOSITORY}"]
    assert "README.md" not in files(path)


def test_too_little_space_is_told_before_the_download(
    server: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(ModelFetchError, match=r"needs 2 MB more, and .* has 0 MB free: free some"):
        models.pull([TINY])
    assert server.ranges("model.bin") == []


def test_a_full_disk(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", full)
        with pytest.raises(
            ModelFetchError, match=r"is full \(No space left on device\): free it, or set TURNWISE_MODELS"
        ):
            models.pull([TINY])
    assert models.state(TINY) is State.MISSING
    models.pull([TINY])


def test_without_huggingface_hub(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelFetchError, match=r"pip install \"turnwise\[faster-whisper\]\""):
        models.pull([TINY])


def test_the_hub_is_asked_about_nothing_else(server: HubServer) -> None:
    models.pull([TINY])
    assert os.environ["HF_HUB_DISABLE_TELEMETRY"] == "1"
    assert {each.path.split("/")[1] for each in server.asked} == {"api", "Systran", "blobs"}


# --------------------------------------------------------------------------- processes

PULL = """
import sys
from pipelines.models import download, locating as models
from pipelines.cli import main
from tests.pipelines.models.test_fetching import small_models
models.MODELS = small_models(sys.argv[1])
sys.exit(main(["models", *sys.argv[2:]]))
"""


def start(server: HubServer, *arguments: str) -> subprocess.Popen[str]:
    root = Path(__file__).resolve().parents[3]
    command = [sys.executable, "-c", PULL, server.address, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=root, text=True, stdout=pipe, stderr=pipe)


def wait_until_begun(part: Path, process: subprocess.Popen[str]) -> None:
    limit = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size >= 500_000):
        assert time.monotonic() < limit
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)


PULLS = [
    (TINY, BLOB, "faster-whisper/.part-tiny/model.bin.part"),
    ("whisper:tiny", "/tiny.pt", "whisper/.part-tiny.pt.part"),
]


@pytest.mark.acceptance
@pytest.mark.parametrize(("name", "path", "part"), PULLS, ids=lambda each: "")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_pull_is_gone_on_with(
    server: HubServer, name: str, path: str, part: str, how: signal.Signals
) -> None:
    hold = threading.Event()
    server.fail(path, Fault(cut_bytes=1_000_000, hold=hold))
    process = start(server, "pull", name)
    begun = models.folder() / part
    try:
        wait_until_begun(begun, process)
        process.send_signal(how)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        hold.set()
    assert process.returncode == {signal.SIGKILL: -signal.SIGKILL, signal.SIGINT: 130}[how]
    assert how is signal.SIGKILL or "Traceback" not in errors
    with pytest.raises(EngineMissingError):
        models.find(name)
    came_bytes = begun.stat().st_size
    server.asked.clear()
    following = start(server, "pull", name)
    output, errors = following.communicate(timeout=120)
    assert following.returncode == 0, errors
    assert f"fetched {name}" in output
    assert f"bytes={came_bytes}-" in server.ranges(path)
    assert start(server, "verify", name).communicate(timeout=60)[0] == f"{name}: present\n"


@pytest.mark.acceptance
def test_two_pulls_at_the_same_time_fetch_once(server: HubServer) -> None:
    processes = [start(server, "pull", TINY) for _ in range(2)]
    told = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], told
    assert len(server.ranges("model.bin")) == 2  # the address that leads to the blob, and the blob
    models.verify([TINY])


# --------------------------------------------------------------------------- the command


def test_pull_prints_lines_off_a_terminal(server: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["models", "pull", TINY]) == 0
    told = capsys.readouterr()
    assert told.err == f"fetching {TINY}: 0.0 MB of 2.1 MB\n"
    assert told.out.startswith(f"fetched {TINY}: Whisper tiny for CTranslate2 ({TINY_REPOSITORY}), MIT\n")


def test_list_verify_and_path(member: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    models.pull([TINY])
    own = models.folder() / "whisper"
    own.mkdir()
    (own / "clip.pt").write_bytes(b"x")
    capsys.readouterr()
    assert cli.main(["models", "list"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [TINY, "present", "78.0", "MB", "MIT"] in [line[:5] for line in lines]
    assert ["whisper:clip", "copied"] in lines
    assert ["pyannote:3.1", "missing", "33.0", "MB", "MIT", "AND", "CC-BY-4.0,", "gated"] in [
        line[:8] for line in lines
    ]
    assert cli.main(["models", "verify"]) == 0
    assert capsys.readouterr().out == f"{TINY}: present\n"
    assert cli.main(["models", "path"]) == 0
    assert cli.main(["models", "path", TINY]) == 0
    assert capsys.readouterr().out == f"{models.folder()}\n{models.find(TINY)}\n"
    assert cli.main(["models", "path", "whisper:small"]) == 3


def test_pull_draws_a_bar_on_a_terminal(
    server: HubServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "100")
    assert cli.main(["models", "pull", TINY]) == 0
    told = capsys.readouterr().err
    assert f"{TINY} " in told
    assert "2.1/2.1 MB" in told
    assert "fetching" not in told


def test_a_damaged_model_is_named_by_verify(server: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    models.pull([TINY, "whisper:tiny"])
    (models.find(TINY) / "model.bin").write_bytes(b"x")
    capsys.readouterr()
    assert cli.main(["models", "verify"]) == 3
    told = capsys.readouterr()
    assert told.out == f"whisper:tiny: present\n{TINY}: corrupt\n"
    assert re.fullmatch(
        rf"turnwise: The model file .*model\.bin is damaged .*models pull {TINY}`\.\n", told.err
    )


def test_rests_of_a_model_that_was_copied_in_meanwhile_go(server: HubServer) -> None:
    server.fail(BLOB, Fault(cut_bytes=300_000), Fault(status=404))
    with pytest.raises(ModelFetchError):
        models.pull([TINY])
    elsewhere = models.folder().with_name("elsewhere")
    models.folder().rename(elsewhere)
    models.pull([TINY])
    shutil.copytree(
        elsewhere / "faster-whisper" / ".part-tiny", models.folder() / "faster-whisper" / ".part-tiny"
    )
    server.asked.clear()
    assert models.pull([TINY]) == ()
    assert server.asked == []
    assert rests(models.folder()) == []
