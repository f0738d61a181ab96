"""Trains the test Whisper: the real architecture and tokenizer, small, which hears the words of the clip.

    python -m tests.checkpoints.train_whisper [--output FILE.pt] [--minutes 90] [--threads 3] [--state FILE]

It takes an hour and a half on three cores. What makes it listen instead of learning the text by heart:
- windows of random phrases in random order (training_windows.py);
- short windows first, and the encoder run on as many frames as there are;
- two more losses, thrown away afterwards: which word each frame of the encoder belongs to, and that the last
  decoder layer looks at the frames of the token that it is about to write (as in "Efficiently trainable
  text-to-speech …", Tachibana et al., 2017, "guided attention", here with the known times of the words).

The vocabulary is Whisper's own, of which the clip needs a few hundred tokens. While training, all the others
share one row of the token embedding, counted in the softmax as often as there are others: the same loss as
with the whole table, at a twentieth of the work. The checkpoint has the whole table, that row repeated.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from whisper.audio import log_mel_spectrogram
from whisper.model import ModelDimensions, Whisper
from whisper.tokenizer import Tokenizer, get_tokenizer

from tests.checkpoints.training_windows import Clip, Composer, Window, load_clip

CLIP = Path(__file__).parents[1] / "data" / "clip"
CHECKPOINT = Path(__file__).parent / "whisper-clip.pt"
SEED = 20
VOCABULARY = 51_865  # multilingual
WIDTH, HEADS, LAYERS = 128, 2, 2
CONTEXT_FRAMES, CONTEXT_TOKENS = 1500, 448
FRAME = 0.02  # s, of the encoder's output and of a timestamp token
IGNORED = -100

PEAK_RATE, WARM_UP_STEPS, LAST_RATE = 8e-4, 200, 3e-5
PROMPTED = 0.3  # share of windows with an earlier text in front
TIMESTAMP_BLUR = 1.5  # standard deviation, in timestamp tokens
FRAME_WEIGHT, ATTENTION_WEIGHT = 0.5, 0.3


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the training: windows of up to `length` seconds until this share of the time has gone."""

    until: float
    length: float
    batch: int
    as_spoken: float  # share of windows that are the clip as it is
    timed: float  # share of windows with timestamps; faster-whisper's batches have none


PHASES = (
    Phase(0.22, 6.0, 24, 0.05, 0.75),
    Phase(0.4, 12.0, 14, 0.1, 0.75),
    Phase(0.88, 30.0, 7, 0.2, 0.75),
    Phase(1.0, 30.0, 7, 0.4, 0.4),
)
SHORTER, SHORTEST = 0.5, 1.0  # share of windows that are not full, and the shortest of them in seconds


class Vocabulary:
    """Whisper's token ids ↔ the rows of the small table; the last row stands for every other token."""

    def __init__(self, tokenizer: Tokenizer, clip: Clip) -> None:
        spoken = {i for word in clip.words for i in tokenizer.encode(word.text)}
        special = range(tokenizer.eot, VOCABULARY)
        self.ids = [*sorted(spoken), *special]
        self.spoken_rows = len(spoken)
        self.other = len(self.ids)
        self.row_of = {i: row for row, i in enumerate(self.ids)}
        self.others = VOCABULARY - len(self.ids)

    def rows(self, ids: Sequence[int]) -> list[int]:
        return [self.row_of.get(i, self.other) for i in ids]


@dataclass(frozen=True, slots=True)
class Example:
    """A window as the network takes it.

    `targets` are rows, IGNORED where nothing is learned; `places` are the frames [first, last) that a target
    is heard in, (0, 0) for none; `frames` has the class of the word for every frame, 0 for none.
    """

    mel: Tensor  # (80, 2 · frames)
    inputs: list[int]
    targets: list[int]
    places: list[tuple[int, int]]
    frames: list[int]


class Encoder:
    """Windows → examples."""

    def __init__(self, clip: Clip, tokenizer: Tokenizer, vocabulary: Vocabulary, seed: int) -> None:
        self.tokenizer = tokenizer
        self.vocabulary = vocabulary
        self.random = np.random.default_rng(seed)
        self.tokens = {word.text: tokenizer.encode(word.text) for word in clip.words}
        self.classes = {text: k + 1 for k, text in enumerate(sorted(self.tokens))}

    def example(self, window: Window, timed: float) -> Example:
        """`timed`: how probably it has timestamps."""
        tokenizer = self.tokenizer
        frames = round(len(window.samples) / 16_000 / FRAME)
        prompt = self._prompt() if self.random.random() < PROMPTED else []
        if not window.segments:
            ids, places = [tokenizer.sot, tokenizer.no_speech], [(0, 0), (0, 0)]
        else:
            ids, places = self._written(window, timed=bool(self.random.random() < timed), frames=frames)
        inputs = self.vocabulary.rows([*prompt, *ids[:-1]])
        learned = self.vocabulary.rows(ids[1:])
        return Example(
            log_mel_spectrogram(torch.from_numpy(window.samples)),
            inputs,
            [IGNORED] * len(prompt) + learned,
            [(0, 0)] * len(prompt) + places[1:],
            self._frames(window, frames),
        )

    def _prompt(self) -> list[int]:
        """An earlier text that has nothing to do with the window, so that none is ever believed."""
        count = int(self.random.integers(1, 60))
        known = self.random.choice(self.vocabulary.ids[: self.vocabulary.spoken_rows], count)
        foreign = self.random.integers(0, self.tokenizer.eot, count)
        mixed = np.where(self.random.random(count) < 0.6, known, foreign)
        return [self.tokenizer.sot_prev, *mixed.tolist()]

    def _written(
        self, window: Window, *, timed: bool, frames: int
    ) -> tuple[list[int], list[tuple[int, int]]]:
        tokenizer = self.tokenizer
        ids = list(tokenizer.sot_sequence)
        places = [(0, 0)] * len(ids)
        if not timed:
            ids.append(tokenizer.no_timestamps)
            places.append((0, 0))
        for number, segment in enumerate(window.segments):
            if timed:
                self._add_time(segment.words[0].start, ids, places, frames)
                if segment.cut and number > 0:
                    break  # Whisper writes when it begins, and hears it again in the next window
            for word in segment.words:
                self._add_word(word.text, word.start, word.end, ids, places)
            if timed:
                self._add_time(segment.words[-1].end, ids, places, frames)
        return [*ids, tokenizer.eot], [*places, (0, 0)]

    def _add_time(self, at: float, ids: list[int], places: list[tuple[int, int]], frames: int) -> None:
        step = min(round(at / FRAME), frames)
        ids.append(self.tokenizer.timestamp_begin + step)
        places.append((max(0, step - 4), min(frames, step + 4)))

    def _add_word(
        self, text: str, start: float, end: float, ids: list[int], places: list[tuple[int, int]]
    ) -> None:
        tokens = self.tokens[text]
        edges = np.linspace(start, end, len(tokens) + 1) / FRAME
        for token, first, last in zip(tokens, edges[:-1], edges[1:], strict=True):
            ids.append(token)
            places.append((math.floor(first), max(math.floor(first) + 1, math.ceil(last))))

    def _frames(self, window: Window, count: int) -> list[int]:
        frames = [0] * count
        for word in (word for segment in window.segments for word in segment.words):
            for k in range(round(word.start / FRAME), min(count, round(word.end / FRAME))):
                frames[k] = self.classes[word.text]
        return frames


class Student(nn.Module):
    """Whisper with the small table, and what is thrown away after training."""

    def __init__(self, vocabulary: Vocabulary, tokenizer: Tokenizer, classes: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.whisper = Whisper(dimensions(vocabulary.other + 1))
        self.frame_head = nn.Linear(WIDTH, classes)
        first = vocabulary.row_of[tokenizer.timestamp_begin]
        decoder = self.whisper.decoder
        nn.init.normal_(decoder.token_embedding.weight, std=0.02)
        nn.init.normal_(decoder.positional_embedding, std=0.02)
        with torch.no_grad():  # neighbouring times begin as neighbours
            times = self.whisper.encoder.positional_embedding
            decoder.token_embedding.weight[first : first + CONTEXT_FRAMES] = 0.03 * times
        # the others count as often as there are
        weight = torch.zeros(vocabulary.other + 1)
        weight[-1] = math.log(vocabulary.others)
        self.register_buffer("multiplicity", weight, persistent=False)
        self.caught: dict[str, Tensor] = {}
        attention = decoder.blocks[-1].cross_attn
        attention.query.register_forward_hook(lambda _m, _i, out: self.caught.__setitem__("query", out))
        attention.key.register_forward_hook(lambda _m, _i, out: self.caught.__setitem__("key", out))

    def encode(self, mel: Tensor) -> Tensor:
        """(batch, mels, 2n) → (batch, n, width): the encoder on as many frames as there are."""
        encoder = self.whisper.encoder
        x = functional.gelu(encoder.conv2(functional.gelu(encoder.conv1(mel)))).permute(0, 2, 1)
        x = x + encoder.positional_embedding[: x.shape[1]]
        for block in encoder.blocks:
            x = block(x)
        normed: Tensor = encoder.ln_post(x)
        return normed

    def forward(self, mel: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scores of the next row, of the frames' words, and where the last layer looks (per head)."""
        heard = self.encode(mel)
        logits = self.whisper.decoder(inputs, heard) + self.multiplicity
        query, key = (
            x.view(*x.shape[:2], HEADS, -1).transpose(1, 2)
            for x in (self.caught["query"], self.caught["key"])
        )
        attention = query @ key.transpose(-1, -2) / math.sqrt(WIDTH // HEADS)
        return logits, self.frame_head(heard), attention


def dimensions(vocabulary: int) -> ModelDimensions:
    return ModelDimensions(
        n_mels=80,
        n_audio_ctx=CONTEXT_FRAMES,
        n_audio_state=WIDTH,
        n_audio_head=HEADS,
        n_audio_layer=LAYERS,
        n_vocab=vocabulary,
        n_text_ctx=CONTEXT_TOKENS,
        n_text_state=WIDTH,
        n_text_head=HEADS,
        n_text_layer=LAYERS,
    )


# --------------------------------------------------------------------------- losses


def token_loss(logits: Tensor, targets: Tensor, first_time: int, times: int) -> Tensor:
    """Cross-entropy; a time that is off by a token or two is almost right."""
    learned = targets != IGNORED
    logits, targets = logits[learned], targets[learned]
    log_probability = logits.log_softmax(dim=-1)
    is_time = (targets >= first_time) & (targets < first_time + times)
    words = functional.nll_loss(log_probability[~is_time], targets[~is_time], reduction="sum")
    at = (targets[is_time] - first_time).unsqueeze(1)
    distance = torch.arange(times).unsqueeze(0) - at
    blurred = torch.exp(-0.5 * (distance / TIMESTAMP_BLUR) ** 2)
    blurred = blurred / blurred.sum(dim=1, keepdim=True)
    scores = log_probability[is_time, first_time : first_time + times]
    return (words - (blurred * scores).sum()) / learned.sum()


def attention_loss(attention: Tensor, places: Tensor) -> Tensor:
    """How little of the attention lies on the frames of the token about to be written."""
    frames = torch.arange(attention.shape[-1])
    wanted = (frames >= places[..., :1]) & (frames < places[..., 1:])
    rows = wanted.any(dim=-1)
    shares = attention.log_softmax(dim=-1).masked_fill(~wanted.unsqueeze(1), -torch.inf).logsumexp(dim=-1)
    return -shares.transpose(1, 2)[rows].mean()


# --------------------------------------------------------------------------- the loop


@dataclass(frozen=True, slots=True)
class Batch:
    """Examples side by side. Behind the end of a window the mel is 0, as the libraries fill it up."""

    mel: Tensor  # (batch, 80, 2 · frames)
    inputs: Tensor  # (batch, tokens)
    targets: Tensor  # (batch, tokens)
    places: Tensor  # (batch, tokens, 2)
    frames: Tensor  # (batch, frames)


def stack(examples: Sequence[Example], length: float) -> Batch:
    """A batch of windows of `length` seconds."""
    frames = round(length / FRAME)
    tokens = max(len(example.inputs) for example in examples)
    batch = Batch(
        mel=torch.zeros(len(examples), 80, 2 * frames),
        inputs=torch.zeros(len(examples), tokens, dtype=torch.long),
        targets=torch.full((len(examples), tokens), IGNORED),
        places=torch.zeros(len(examples), tokens, 2, dtype=torch.long),
        frames=torch.zeros(len(examples), frames, dtype=torch.long),
    )
    for k, example in enumerate(examples):
        batch.mel[k, :, : example.mel.shape[1]] = example.mel
        batch.inputs[k, : len(example.inputs)] = torch.tensor(example.inputs)
        batch.targets[k, : len(example.targets)] = torch.tensor(example.targets)
        batch.places[k, : len(example.places)] = torch.tensor(example.places)
        batch.frames[k, : len(example.frames)] = torch.tensor(example.frames)
    return batch


class Trainer:
    """The student, and how far it has come."""

    def __init__(self, clip: Clip) -> None:
        tokenizer = get_tokenizer(multilingual=True, num_languages=99, language="en", task="transcribe")
        self.vocabulary = Vocabulary(tokenizer, clip)
        self.composer = Composer(clip, SEED)
        self.encoder = Encoder(clip, tokenizer, self.vocabulary, SEED)
        self.student = Student(self.vocabulary, tokenizer, len(self.encoder.classes) + 1)
        self.optimizer = torch.optim.AdamW(
            self.student.parameters(), lr=PEAK_RATE, betas=(0.9, 0.98), weight_decay=0.01
        )
        self.first_time = self.vocabulary.row_of[tokenizer.timestamp_begin]
        self.times = VOCABULARY - tokenizer.timestamp_begin
        self.step, self.spent = 0, 0.0
        self.mean = torch.zeros(4)

    def draw(self, phase: Phase) -> Batch:
        random = self.composer.random
        lengths = [
            float(random.uniform(SHORTEST, phase.length)) if random.random() < SHORTER else phase.length
            for _ in range(phase.batch)
        ]
        lengths = [round(length / FRAME) * FRAME for length in lengths]
        windows = [self.composer.window(length, as_spoken=phase.as_spoken) for length in lengths]
        return stack([self.encoder.example(window, phase.timed) for window in windows], phase.length)

    def learn(self, batch: Batch, progress: float) -> None:
        """One step."""
        logits, frame_logits, attention = self.student(batch.mel, batch.inputs)
        tokens = token_loss(logits, batch.targets, self.first_time, self.times)
        framewise = functional.cross_entropy(frame_logits.flatten(0, 1), batch.frames.flatten())
        looking = attention_loss(attention, batch.places)
        loss = tokens + max(0.1, 1 - progress) * (FRAME_WEIGHT * framewise + ATTENTION_WEIGHT * looking)
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(self.step, progress)
        self.optimizer.zero_grad()
        torch.autograd.backward(loss)
        nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        now = torch.stack([tokens, framewise, looking, self.right(logits, batch.targets)]).detach()
        self.mean = now if self.step == 1 else 0.95 * self.mean + 0.05 * now

    def right(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Share of the words' tokens, told the ones before, that come out right."""
        is_time = (targets >= self.first_time) & (targets < self.first_time + self.times)
        words = (targets != IGNORED) & ~is_time
        return (logits.argmax(-1) == targets)[words].float().mean()

    def load(self, path: Path) -> None:
        saved = torch.load(path, weights_only=True)
        self.student.load_state_dict(saved["student"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.spent = saved["step"], saved["spent"]

    def save(self, path: Path, spent: float) -> None:
        state = {"student": self.student.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(state | {"step": self.step, "spent": spent}, path)


def train(output: Path, minutes: float, state: Path | None) -> None:
    torch.manual_seed(SEED)
    trainer = Trainer(load_clip(CLIP))
    if state is not None and state.exists():
        trainer.load(state)
    begin = time.monotonic() - trainer.spent
    while (progress := (time.monotonic() - begin) / 60 / minutes) < 1:
        phase = next(phase for phase in PHASES if progress < phase.until)
        trainer.learn(trainer.draw(phase), progress)
        if trainer.step % 50 == 0:
            figures = " ".join(f"{x:.3f}" for x in trainer.mean.tolist())
            names = (
                f"{progress:.3f} step {trainer.step} {phase.length:.0f} s: tokens, frames, attention, right:"
            )
            print(names, figures, flush=True)
        if trainer.step % 250 == 0:
            export(trainer.student, output)
            if state is not None:
                trainer.save(state, time.monotonic() - begin)
    export(trainer.student, output)


def rate_at(step: int, progress: float) -> float:
    warm = min(1.0, (step + 1) / WARM_UP_STEPS)
    cooled = 0.5 * (1 + math.cos(math.pi * max(0.0, (progress - 0.3) / 0.7)))
    return warm * (LAST_RATE + (PEAK_RATE - LAST_RATE) * cooled)


def export(student: Student, output: Path) -> None:
    """A checkpoint as openai-whisper loads them, in half precision."""
    tensors = {name: x.detach().half() for name, x in student.whisper.state_dict().items()}
    small = tensors["decoder.token_embedding.weight"]
    whole = small[-1].repeat(VOCABULARY, 1)
    whole[torch.tensor(student.vocabulary.ids)] = small[:-1]
    tensors["decoder.token_embedding.weight"] = whole
    checkpoint = {"dims": vars(dimensions(VOCABULARY)), "model_state_dict": tensors}
    torch.save(checkpoint, output)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--output", type=Path, default=CHECKPOINT)
    parser.add_argument("--minutes", type=float, default=90)
    parser.add_argument("--threads", type=int, default=3)
    parser.add_argument("--state", type=Path, help="where to go on, if it is there, and to save")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    train(options.output, options.minutes, options.state)


if __name__ == "__main__":
    main()
