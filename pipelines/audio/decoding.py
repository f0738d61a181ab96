"""Any media file → mono 16 kHz float32, within limits of memory, time and trust.

The file is untrusted. We open it once, and ffmpeg reads it only through that handle: a container that points
to other files or to the network (a playlist, `ffconcat`, a movie with external tracks) finds nothing there.
The content decides what the file is, never the name; CONTAINERS lists what it may be.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import NoReturn

import av
import av.container
import numpy as np

from pipelines.audio.downmix import Channels, Downmix
from pipelines.errors import (
    EmptyMediaError,
    MediaError,
    MediaLimitError,
    NoAudioTrackError,
    NoSpeechError,
    NotMediaError,
)
from pipelines.protocols import Progress, no_progress
from pipelines.types import SAMPLE_RATE, Audio, Media, Notice, Samples

CONTAINERS = tuple(
    """aac ac3 aiff amr ape asf au avi caf dts eac3 flac flv matroska mov mp3 mpeg mpegts mxf ogg rm tta voc
    w64 wav wv""".split()  # noqa: SIM905
)
"""Names of the ffmpeg demuxers that may open a file. None of them is meant to read a second file."""

MIN_DURATION = 0.2  # about as long as the shortest words of read speech
SILENCE_PEAK = 1e-4  # -80 dBFS: the dither of a 16-bit file stays below it, a whisper does not
LONGEST_FILLED_GAP = 60.0  # a larger jump of the timestamps is a new clock, not missing sound
LONGEST_FRAME = 120.0  # no codec has longer ones, but a false sampling rate can turn one into hours
HIGHEST_RATE_HZ = 3_000_000  # DSD has 2.8 million; a false rate could make a filter of gigabytes
SHORTEST_FILLED_GAP = 0.1  # smaller ones are rounding, or the priming of a lossy codec
TRUNCATION_TOLERANCE = 1.0  # how far the header may overstate the length: containers round, codecs pad

BROKEN = (av.FFmpegError, OSError, LookupError, ValueError)
"""What PyAV raises for damaged files; LookupError where a track appears that the header does not list."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of a recording: its duration and decoding time in seconds, its size in bytes.

    Six hours are 1.4 GB of samples.
    """

    duration: float = 6 * 3600.0
    size_bytes: int = 16 * 2**30
    decode_time: float = 900.0


def load(
    path: str | os.PathLike[str],
    limits: Limits = Limits(),
    progress: Progress = no_progress,
    *,
    name: str = "",
) -> tuple[Audio, tuple[Notice, ...]]:
    """The recording in a file, and notices about it for the user ("truncated", "damaged").

    Channels are averaged, after inverting those of opposite polarity and leaving out dead ones. Time 0 is the
    start of the container, so that times fit the picture; gaps in the timestamps are filled with silence.
    Peak memory is about that of the result. `name` is the recording's name in messages and the result, if
    it is not the file's own name.

    Raises NotMediaError, NoAudioTrackError, EmptyMediaError, NoSpeechError (digital silence),
    MediaLimitError, or MediaError (no such file).
    """
    path = Path(path)
    with _open(path, name or str(path)) as file:
        return read(file, name or path.name, limits, progress)


def read(
    file: BufferedReader,
    name: str,
    limits: Limits = Limits(),
    progress: Progress = no_progress,
) -> tuple[Audio, tuple[Notice, ...]]:
    """`load` for an open file: reads it from the start, whatever its position, and leaves it open."""
    status = os.fstat(file.fileno())
    _check_kind(status, name)
    _check_size(status, name, limits)
    file.seek(0)
    reader = _Reader(file, name, limits, progress)
    sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    size_bytes = file.tell()
    file.seek(0)
    track, samples = _decode(reader)
    _check_content(samples, name)
    progress(1.0)
    media = Media(
        name=name,
        sha256=sha256,
        size_bytes=size_bytes,
        container=track.container,
        codec=track.codec,
        sample_rate_hz=track.sample_rate_hz,
        channels=track.channels,
        duration=len(samples) / SAMPLE_RATE,
    )
    return Audio(samples, media), _notices(track, media)


@contextmanager
def _open(path: Path, shown: str) -> Iterator[BufferedReader]:
    """Opens the file if it is a regular one; `shown` is its name in messages."""
    try:
        file = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115 (closed below)
    except FileNotFoundError:
        raise MediaError(f"There is no file {shown!r}: check the name of the recording.") from None
    except IsADirectoryError:
        raise NotMediaError(f"{shown!r} is a folder: name the media file in it.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise MediaError(f"{shown!r} cannot be read ({reason}): check the file.") from None
    with file:
        _check_kind(os.fstat(file.fileno()), shown)
        yield file


def _open_without_waiting(path: str, flags: int) -> int:
    """Opens the file; opening a named pipe would otherwise wait for a writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _check_kind(status: os.stat_result, shown: str) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise NotMediaError(f"{shown!r} is not a regular file: save the recording to a file first.")


def _check_size(status: os.stat_result, name: str, limits: Limits) -> None:
    if status.st_size == 0:
        raise EmptyMediaError(f"{name} is empty (zero bytes): check how it was copied.")
    if status.st_size > limits.size_bytes:
        raise MediaLimitError(
            f"{name} has {status.st_size / 1e6:.0f} MB, more than the limit of "
            f"{limits.size_bytes / 1e6:.0f} MB: extract its audio track first."
        )


def _check_content(samples: Samples, name: str) -> None:
    duration = len(samples) / SAMPLE_RATE
    if duration < MIN_DURATION:
        raise EmptyMediaError(
            f"{name} holds {duration:.2f} s of audio, too little for a word: check the file."
        )
    if max(-samples.min(), samples.max()) < SILENCE_PEAK:
        raise NoSpeechError(f"{name} is silent from start to end: check the recording.")


@dataclass(slots=True)
class _Reader:
    """The file as ffmpeg reads it, with a time limit on every read."""

    file: BufferedReader
    name: str
    limits: Limits
    progress: Progress
    begun: float = field(default_factory=time.monotonic)

    def read(self, size_bytes: int) -> bytes:
        self.check_time()
        return self.file.read(size_bytes)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def check_time(self) -> None:
        if time.monotonic() - self.begun > self.limits.decode_time:
            raise MediaLimitError(
                f"{self.name} takes longer than {self.limits.decode_time:g} s to decode: convert it to WAV."
            )

    def check_duration(self, duration: float) -> None:
        if duration > self.limits.duration:
            raise MediaLimitError(
                f"{self.name} is longer than {self.limits.duration / 3600:g} h, the limit: cut it into parts."
            )


@dataclass(slots=True)
class _Track:
    """The audio track of a container, and what happened while decoding it."""

    container: str
    codec: str
    sample_rate_hz: int
    channels: int
    start: float  # of the container, on the clock of its timestamps
    duration: float  # from the header; 0 if it gives none
    frames: int = 0
    broken_packets: int = 0


def _decode(reader: _Reader) -> tuple[_Track, Samples]:
    with _open_container(reader) as container:
        if not container.streams:
            raise NotMediaError(f"{reader.name} is not audio or video: choose another file.")
        stream = container.streams.best("audio")
        if stream is None:
            raise NoAudioTrackError(f"{reader.name} has no audio track: choose a file with sound.")
        assert isinstance(stream, av.AudioStream)
        track = _describe(container, stream, reader.name)
        reader.check_duration(track.duration)
        samples = _mix(_channels(_frames(container, stream, track), track), track, reader)
    if track.frames <= track.broken_packets:
        raise NotMediaError(
            f"The audio track of {reader.name} cannot be decoded: check the file with a player."
        )
    return track, samples


@contextmanager
def _open_container(reader: _Reader) -> Iterator[av.container.InputContainer]:
    options = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "none"}
    try:
        container = av.open(reader, container_options=options, io_open=_refuse, metadata_errors="replace")
    except BROKEN:
        raise NotMediaError(
            f"{reader.name} is not audio or video that can be opened, or its header is damaged: "
            "choose a WAV, FLAC, MP3, Ogg, MP4 or similar file."
        ) from None
    assert isinstance(container, av.container.InputContainer)
    with container:
        yield container


def _refuse(url: str, flags: int, options: dict[str, str]) -> NoReturn:
    raise NotMediaError("The file lists other files instead of holding sound: choose the one that holds it.")


def _describe(container: av.container.InputContainer, stream: av.AudioStream, name: str) -> _Track:
    codec = stream.codec_context
    if codec is None:
        raise NotMediaError(f"The audio of {name} is in an unknown codec: convert it to WAV or FLAC.")
    seconds = (stream.duration or 0) * (stream.time_base or 0)
    return _Track(
        container=container.format.name,
        codec=codec.name,
        sample_rate_hz=codec.sample_rate,
        channels=codec.channels,
        start=(container.start_time or 0) / av.time_base,
        duration=float(seconds) or (container.duration or 0) / av.time_base,
    )


def _frames(
    container: av.container.InputContainer, stream: av.AudioStream, track: _Track
) -> Iterator[av.AudioFrame]:
    """All frames that can be decoded; packets that cannot be decoded are counted and skipped."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except BROKEN:  # the file breaks off inside a packet
            track.broken_packets += 1
            return
        if packet is None:
            return
        try:
            for frame in stream.codec_context.decode(packet):
                track.frames += 1
                yield frame
        except BROKEN:
            track.broken_packets += 1


def _channels(frames: Iterable[av.AudioFrame], track: _Track) -> Iterator[Channels]:
    """The frames at SAMPLE_RATE, about a second at a time, with gaps between them filled with silence."""
    resampler = None
    setup: object = None
    position = track.start
    for frame in frames:
        # resampling must take no more memory than in proportion to the file
        if frame.samples > LONGEST_FRAME * frame.sample_rate or frame.sample_rate > HIGHEST_RATE_HZ:
            track.broken_packets += 1
            continue
        late = 0.0 if frame.time is None else frame.time - position
        if abs(late) > LONGEST_FILLED_GAP:
            position, late = position + late, 0.0
        gap = late if late > SHORTEST_FILLED_GAP else 0.0
        if gap or setup != _setup(frame):
            yield from _resampled(resampler, None, track)
            # interleaved: PyAV 18 reads missing planes of planar frames with 8 or more channels
            resampler = av.AudioResampler("flt", frame.layout, SAMPLE_RATE, frame_size=SAMPLE_RATE)
            setup = _setup(frame)
        if gap:
            yield np.zeros((frame.layout.nb_channels, round(gap * SAMPLE_RATE)), np.float32)
        position += gap + frame.samples / frame.sample_rate
        yield from _resampled(resampler, frame, track)
    yield from _resampled(resampler, None, track)


def _setup(frame: av.AudioFrame) -> tuple[str, str, int]:
    """The properties that a resampler depends on, which may change in mid-stream."""
    return frame.format.name, frame.layout.name, frame.sample_rate


def _resampled(
    resampler: av.AudioResampler | None, frame: av.AudioFrame | None, track: _Track
) -> Iterator[Channels]:
    """Resamples a frame, None to flush; a frame that the resampler rejects counts as broken."""
    if resampler is None:
        return
    try:
        outputs = resampler.resample(frame)
    except BROKEN:
        track.broken_packets += 1
        return
    for output in outputs:
        interleaved = np.nan_to_num(output.to_ndarray(), nan=0.0, posinf=0.0, neginf=0.0)
        yield np.asarray(interleaved.reshape(-1, output.layout.nb_channels).T, np.float32)


def _mix(blocks: Iterable[Channels], track: _Track, reader: _Reader) -> Samples:
    """Mixes all blocks down to one channel, within the limits."""
    mixer, parts = Downmix(), _Parts()
    for block in blocks:
        parts.append(mixer.mix(block))
        decoded = parts.length_samples / SAMPLE_RATE
        reader.check_duration(decoded)
        reader.check_time()
        if track.duration:
            reader.progress(min(decoded / track.duration, 1.0))
    samples = parts.join()
    samples *= mixer.gain
    return np.clip(samples, -1.0, 1.0, out=samples)


class _Parts:
    """An unknown number of samples, gathered in large parts.

    Parts this large get their own memory mappings, which are allocated page by page and freed one by one
    while `join` copies them: the peak stays one part above the result.
    """

    PART_SAMPLES = 2**24

    def __init__(self) -> None:
        self._parts: list[Samples] = []
        self.length_samples = 0

    def append(self, samples: Samples) -> None:
        while len(samples):
            used = self.length_samples % self.PART_SAMPLES
            if used == 0:
                self._parts.append(np.empty(self.PART_SAMPLES, np.float32))
            piece = samples[: self.PART_SAMPLES - used]
            self._parts[-1][used : used + len(piece)] = piece
            self.length_samples += len(piece)
            samples = samples[len(piece) :]

    def join(self) -> Samples:
        """All samples, shape (length_samples,); empties the parts."""
        result = np.empty(self.length_samples, np.float32)
        for start in range(0, self.length_samples, self.PART_SAMPLES):
            part = self._parts.pop(0)
            stop = min(start + self.PART_SAMPLES, self.length_samples)
            result[start:stop] = part[: stop - start]
        return result


def _notices(track: _Track, media: Media) -> tuple[Notice, ...]:
    if track.duration - media.duration > max(TRUNCATION_TOLERANCE, 0.01 * track.duration):
        there = f"{media.duration:.1f} s of {track.duration:.1f} s"
        return (Notice("truncated", f"{media.name} breaks off after {there}: what is there was used."),)
    if track.broken_packets:
        count = f"{track.broken_packets} damaged packet{'s' if track.broken_packets > 1 else ''}"
        return (Notice("damaged", f"{media.name} has {count}, left out: compare it with its source."),)
    return ()
