"""Whisper's speed: in each library at the real sizes, and this project's engines beside the plain libraries.

    python -m tests.benchmarks.whisper sizes [tiny base small] [--threads 4]
    python -m tests.benchmarks.whisper clip [--times 3] [--threads 4] [--whisperx PYTHON]

`sizes` makes networks of OpenAI's dimensions with random weights (speed does not depend on them), the same
for every library, and prints what a window of 30 s takes in the encoder and a token in the decoder.

`clip` hears the clip of the tests, several times over, with the weights of the tests. whisperX runs in an
environment of its own, whose python is given (`pip install whisperx` there). Its pipeline gives no word
times: it has them from a wav2vec2 model, which is not here, so that its time is not in the table either.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ctranslate2
import faster_whisper
import numpy as np
import torch
import whisper
from rich.console import Console
from rich.table import Table

from pipelines.audio import decoding as audio
from pipelines.engines.embedded.silero import SileroDetector
from pipelines.engines.whisper.faster_whisper import FasterWhisper
from pipelines.engines.whisper.openai_whisper import Whisper
from pipelines.types import SAMPLE_RATE, Audio, HeardWord, Media
from tests.checkpoints.convert_whisper import convert
from tests.pipelines.engines.conftest import CHECKPOINT, CLIP
from tests.pipelines.engines.whisper.test_both_whispers import error_rate, reference, time_error

SIZES = {"tiny": (384, 6, 4), "base": (512, 8, 6), "small": (768, 12, 12), "medium": (1024, 16, 24)}
"""Width, heads and layers of OpenAI's multilingual models, encoder and decoder alike."""
VOCABULARY = 51_865
STEPS = 48  # tokens written
ROUNDS = 3  # the fastest counts
SEED = 1


def fastest(work: Callable[[], object]) -> float:
    """Seconds of the fastest of some rounds, after one that does not count."""
    work()
    seconds = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return min(seconds)


# --------------------------------------------------------------------------- sizes


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds: a window of 30 s through the encoder, a token of the decoder without and with a beam of 5."""

    library: str
    window: float
    token: float
    beam_token: float


def dimensions(size: str) -> dict[str, int]:
    width, heads, layers = SIZES[size]
    return {
        "n_mels": 80,
        "n_audio_ctx": 1500,
        "n_audio_state": width,
        "n_audio_head": heads,
        "n_audio_layer": layers,
        "n_vocab": VOCABULARY,
        "n_text_ctx": 448,
        "n_text_state": width,
        "n_text_head": heads,
        "n_text_layer": layers,
    }


def measure(size: str, folder: Path, threads: int) -> list[Speed]:
    torch.manual_seed(SEED)
    sizes = dimensions(size)
    model = whisper.model.Whisper(whisper.model.ModelDimensions(**sizes)).eval()
    with torch.no_grad():
        model.decoder.positional_embedding.normal_(std=0.02)
    path = folder / f"{size}.pt"
    torch.save({"dims": sizes, "model_state_dict": model.state_dict()}, path)
    convert(path, folder / size)
    speeds = [_speed_of_torch(model)]
    del model
    for kind in ("float32", "int8"):
        converted = ctranslate2.models.Whisper(
            str(folder / size), device="cpu", compute_type=kind, intra_threads=threads
        )
        speeds.append(_speed_of_ctranslate2(converted, f"CTranslate2 {kind}"))
    return speeds


def _speed_of_torch(model: Any) -> Speed:
    tokenizer = whisper.tokenizer.get_tokenizer(True)
    mel = torch.zeros(1, 80, 3000)
    with torch.no_grad():
        heard = model.embed_audio(mel)
        window = fastest(lambda: model.embed_audio(mel))

    def write(beam: int | None) -> float:
        options = whisper.DecodingOptions(
            language="en", beam_size=beam, sample_len=STEPS, fp16=False, suppress_tokens=[tokenizer.eot]
        )
        return fastest(lambda: whisper.decode(model, heard, options)) / STEPS

    return Speed("PyTorch float32", window, write(None), write(5))


def _speed_of_ctranslate2(model: Any, name: str) -> Speed:
    tokenizer = whisper.tokenizer.get_tokenizer(True, language="en", task="transcribe")
    mel = ctranslate2.StorageView.from_array(np.zeros((1, 80, 3000), np.float32))
    heard = model.encode(mel)
    window = fastest(lambda: model.encode(mel))
    prompt = list(tokenizer.sot_sequence)

    def write(beam: int) -> float:
        def generate() -> Any:
            return model.generate(
                heard,
                [prompt],
                beam_size=beam,
                max_length=2 * STEPS,  # half of it is for the prompt
                suppress_tokens=[tokenizer.eot],
            )

        assert len(generate()[0].sequences_ids[0]) == STEPS
        return fastest(generate) / STEPS

    return Speed(name, window, write(1), write(5))


def size_table(sizes: Sequence[str], threads: int) -> Table:
    table = Table(title=f"Random weights, {threads} threads; in brackets: times as fast as PyTorch")
    for column in ("model", "library", "window of 30 s", "token, greedy", "token, beam of 5"):
        table.add_column(column, justify="left" if column in {"model", "library"} else "right")
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            first, *others = measure(size, Path(folder), threads)
        for speed in (first, *others):
            cells = [
                f"{1000 * value:.1f} ms ({base / value:.1f})"
                for value, base in zip(_values(speed), _values(first), strict=True)
            ]
            table.add_row(size, speed.library, *cells)
    return table


def _values(speed: Speed) -> tuple[float, float, float]:
    return speed.window, speed.token, speed.beam_token


# --------------------------------------------------------------------------- the clip


@dataclass(frozen=True, slots=True)
class Run:
    """What one way of hearing the recording took, and what it heard."""

    name: str
    seconds: float
    words: list[HeardWord]
    timed: bool = True


def repeated(times: int) -> tuple[Audio, list[HeardWord]]:
    """The clip so many times, and when its words were rendered."""
    clip, _ = audio.load(CLIP / "clip.opus")
    samples = np.tile(clip.samples, times)
    said = [
        HeardWord(word.text, word.start + k * clip.duration, word.end + k * clip.duration, 1.0)
        for k in range(times)
        for word in reference()
    ]
    duration = len(samples) / SAMPLE_RATE
    return Audio(samples, Media("clips.wav", "", 0, "wav", "pcm_s16le", SAMPLE_RATE, 1, duration)), said


def ours(name: str, engine: Whisper | FasterWhisper, recording: Audio) -> Run:
    engine.transcribe(recording, [], "en")  # loads the model, as the others have it loaded
    begin = time.perf_counter()
    speech = SileroDetector().detect(recording)
    heard = engine.transcribe(recording, speech, "en")
    return Run(f"{name}, this project", time.perf_counter() - begin, list(heard.words))


def plain_whisper(recording: Audio) -> Run:
    model = whisper.load_model(str(CHECKPOINT), device="cpu")
    begin = time.perf_counter()
    result = model.transcribe(
        recording.samples, language="en", fp16=False, beam_size=5, best_of=5, word_timestamps=True
    )
    seconds = time.perf_counter() - begin
    words = [word for segment in result["segments"] for word in segment["words"]]
    return Run(
        "whisper, plain",
        seconds,
        [HeardWord(w["word"].strip(), w["start"], w["end"], w["probability"]) for w in words],
    )


def plain_faster_whisper(recording: Audio, folder: Path, threads: int) -> Run:
    model = faster_whisper.WhisperModel(str(folder), "cpu", compute_type="int8", cpu_threads=threads)
    begin = time.perf_counter()
    segments, _ = model.transcribe(recording.samples, language="en", word_timestamps=True, vad_filter=True)
    words = [word for segment in segments for word in segment.words or ()]
    seconds = time.perf_counter() - begin
    heard = [HeardWord(w.word.strip(), w.start, w.end, w.probability) for w in words]
    return Run("faster-whisper, plain", seconds, heard)


WHISPERX = """
import json, sys, time
import numpy as np
import whisperx
samples, folder, threads = np.load(sys.argv[1]), sys.argv[2], int(sys.argv[3])
model = whisperx.load_model(
    folder, "cpu", compute_type="int8", language="en", threads=threads, vad_method="pyannote"
)
begin = time.perf_counter()
result = model.transcribe(samples, batch_size=4)
text = " ".join(segment["text"] for segment in result["segments"])
print(json.dumps([time.perf_counter() - begin, text]))
"""


def whisperx(python: str, recording: Audio, folder: Path, threads: int) -> Run:
    with tempfile.TemporaryDirectory() as scratch:
        np.save(Path(scratch) / "samples.npy", recording.samples)
        command = [python, "-c", WHISPERX, f"{scratch}/samples.npy", str(folder), str(threads)]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds, text = json.loads(result.stdout.splitlines()[-1])
    return Run(
        "whisperX, words without times", seconds, [HeardWord(w, 0, 0, 1) for w in text.split()], timed=False
    )


def clip_table(times: int, threads: int, python: str) -> Table:
    recording, said = repeated(times)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "clip"
        convert(CHECKPOINT, folder)
        runs = [
            ours(
                "whisper", Whisper(str(CHECKPOINT), "cpu"), recording
            ),  # first, for it keeps torch's threads
            plain_whisper(recording),
            ours("faster-whisper", FasterWhisper(str(folder), "cpu"), recording),
            plain_faster_whisper(recording, folder, threads),
        ]
        if python:
            runs.append(whisperx(python, recording, folder, threads))
    table = Table(
        title=f"The clip {times} times: {recording.duration:.0f} s, {threads} threads, same weights"
    )
    for column in ("", "time", "word error rate", "word time error"):
        table.add_column(column, justify="right" if column else "left")
    for run in runs:
        error = f"{1000 * time_error(said, run.words):.0f} ms" if run.timed else "-"
        table.add_row(run.name, f"{run.seconds:.1f} s", f"{100 * error_rate(said, run.words):.1f} %", error)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("what", choices=("sizes", "clip"))
    parser.add_argument("sizes", nargs="*", metavar="SIZE", help=", ".join(SIZES))
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--whisperx", default="", metavar="PYTHON")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    os.environ["OMP_NUM_THREADS"] = str(options.threads)
    if options.what == "sizes":
        table = size_table(options.sizes or ("tiny", "base", "small"), options.threads)
    else:
        table = clip_table(options.times, options.threads, options.whisperx)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
