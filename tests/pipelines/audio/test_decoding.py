"""Decoding: what comes in, in which shape it comes out, and every way in which a file can be bad."""

from __future__ import annotations

import hashlib
import itertools
import os
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.audio import decoding as audio
from pipelines.audio.downmix import Channels
from pipelines.errors import (
    EmptyMediaError,
    MediaError,
    MediaLimitError,
    NoAudioTrackError,
    NoSpeechError,
    NotMediaError,
)
from pipelines.types import SAMPLE_RATE, Samples
from tests.support.hostile import flac, pcm, wav
from tests.support.media import CODECS, noise, tone, write, write_video


def pitch(samples: Samples) -> float:
    """The strongest frequency, in hertz."""
    return float(np.argmax(np.abs(np.fft.rfft(samples))) * SAMPLE_RATE / len(samples))


# --------------------------------------------------------------------------- what comes out


@pytest.mark.parametrize("name", CODECS)
def test_every_common_container_gives_the_sound_that_went_in(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, tone(2.0, 48_000), 48_000)
    recording, notices = audio.load(path)
    assert recording.samples.dtype == np.float32
    assert recording.samples.ndim == 1
    assert recording.duration == pytest.approx(2.0, abs=0.08)
    assert pitch(recording.samples) == pytest.approx(440, abs=1)
    assert np.sqrt(np.mean(recording.samples**2)) == pytest.approx(0.5 / np.sqrt(2), abs=0.03)
    assert notices == ()


def test_what_the_file_was_is_on_record(tmp_path: Path) -> None:
    path = write(tmp_path / "tone.flac", np.stack([tone(1.0, 44_100)] * 2), 44_100)
    media = audio.load(path)[0].media
    assert (media.name, media.container, media.codec) == ("tone.flac", "flac", "flac")
    assert (media.sample_rate_hz, media.channels) == (44_100, 2)
    assert media.size_bytes == path.stat().st_size
    assert media.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert media.duration == 1.0


def test_samples_at_the_right_rate_pass_unchanged(tmp_path: Path) -> None:
    samples = noise(1.5)
    soundfile.write(tmp_path / "a.wav", samples, SAMPLE_RATE, subtype="FLOAT")
    np.testing.assert_array_equal(audio.load(str(tmp_path / "a.wav"))[0].samples, samples)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000, 192_000])
def test_resampling_moves_nothing_in_time(tmp_path: Path, rate_hz: int) -> None:
    clicks = np.zeros(3 * rate_hz, np.float32)
    clicks[[rate_hz // 2, 2 * rate_hz]] = 0.9
    soundfile.write(tmp_path / "a.wav", clicks, rate_hz, subtype="FLOAT")
    samples = np.abs(audio.load(tmp_path / "a.wav")[0].samples)
    assert len(samples) == pytest.approx(3 * SAMPLE_RATE, abs=2)
    assert np.argmax(samples[:SAMPLE_RATE]) == pytest.approx(SAMPLE_RATE / 2, abs=1)
    assert np.argmax(samples[SAMPLE_RATE:]) == pytest.approx(SAMPLE_RATE, abs=1)


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
def test_every_sample_format_has_the_same_scale(tmp_path: Path, subtype: str) -> None:
    soundfile.write(tmp_path / "a.wav", tone(1.0), SAMPLE_RATE, subtype=subtype)
    assert np.abs(audio.load(tmp_path / "a.wav")[0].samples).max() == pytest.approx(0.5, abs=0.02)


def test_video_gives_its_sound(tmp_path: Path) -> None:
    recording, _ = audio.load(write_video(tmp_path / "a.mp4", tone(2.0)))
    assert pitch(recording.samples) == pytest.approx(440, abs=1)
    assert recording.media.codec == "aac"


@pytest.mark.parametrize("name", ["tone.mkv", "tone.ts"])
def test_a_hole_in_the_time_stamps_is_silence_of_that_length(tmp_path: Path, name: str) -> None:
    recording, _ = audio.load(write(tmp_path / name, tone(4.0), jump=3.0))
    assert recording.duration == pytest.approx(7.0, abs=0.15)
    loud = np.abs(recording.samples) > 0.1
    assert loud[: 2 * SAMPLE_RATE - 2000].any()
    assert not loud[round(2.2 * SAMPLE_RATE) : round(4.8 * SAMPLE_RATE)].any()
    assert loud[round(5.2 * SAMPLE_RATE) :].any()


def test_many_small_holes_add_up(tmp_path: Path) -> None:
    """Each is too small to fill; together they would put the last word seconds too early."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=SAMPLE_RATE, layout="mono")
        assert isinstance(stream, av.AudioStream)
        for i in range(40):
            samples = (noise(0.1, i)[None] * 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(samples, "s16", "mono")
            frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, i * 2400, Fraction(1, SAMPLE_RATE)
            container.mux(stream.encode(frame))
    assert audio.load(path)[0].duration == pytest.approx(40 * 0.15, abs=0.2)


def test_a_new_clock_is_no_hole(tmp_path: Path) -> None:
    recording, _ = audio.load(write(tmp_path / "tone.mkv", tone(4.0), jump=5000.0))
    assert recording.duration == pytest.approx(4.0, abs=0.15)


def test_sound_that_starts_after_the_picture_keeps_its_distance(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=10)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("flac", rate=SAMPLE_RATE, layout="mono")
        assert isinstance(sound, av.AudioStream)
        for _ in range(30):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 128, np.uint8), "rgb24")
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray((tone(1.0)[None] * 32767).astype(np.int16), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
        container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
    samples = audio.load(path)[0].samples
    assert np.flatnonzero(np.abs(samples) > 0.1)[0] == pytest.approx(SAMPLE_RATE, abs=200)


def test_the_name_says_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "tone.wav", tone(1.0)).rename(tmp_path / "Fußball \n ☃ clip.txt")
    assert audio.load(path)[0].media.container == "wav"


def test_progress_rises_to_one(tmp_path: Path) -> None:
    fractions: list[float] = []
    audio.load(write(tmp_path / "tone.flac", tone(5.0)), progress=fractions.append)
    assert fractions == sorted(fractions)
    assert len(fractions) >= 5
    assert 0 < fractions[0] < 0.5
    assert fractions[-1] == 1.0


# --------------------------------------------------------------------------- channels


def load_channels(tmp_path: Path, *channels: Samples) -> Samples:
    soundfile.write(tmp_path / "a.wav", np.stack(channels, axis=1), SAMPLE_RATE, subtype="FLOAT")
    return audio.load(tmp_path / "a.wav")[0].samples


def test_channels_are_averaged(tmp_path: Path) -> None:
    left, right = noise(1.0, 1), noise(1.0, 2)
    np.testing.assert_allclose(load_channels(tmp_path, left, right), (left + right) / 2, atol=1e-6)


@pytest.mark.parametrize("count", [3, 4, 6, 8])
def test_many_channels(tmp_path: Path, count: int) -> None:
    samples = load_channels(tmp_path, *[tone(1.0)] * count)
    np.testing.assert_allclose(samples, tone(1.0), atol=1e-5)


@pytest.mark.parametrize("dead", [0, 1])
def test_a_dead_channel_takes_nothing_away(tmp_path: Path, dead: int) -> None:
    channels = [tone(1.0), tone(1.0)]
    channels[dead] = np.zeros_like(channels[dead])
    np.testing.assert_allclose(load_channels(tmp_path, *channels), tone(1.0), atol=1e-5)


def test_one_live_channel_of_eight(tmp_path: Path) -> None:
    dead = np.zeros(SAMPLE_RATE, np.float32)
    samples = load_channels(tmp_path, *[dead] * 5, tone(1.0), dead, dead)
    np.testing.assert_allclose(samples, tone(1.0), atol=1e-5)


def test_two_microphones_that_take_turns_stay_at_one_level(tmp_path: Path) -> None:
    voice, pause = noise(1.0), np.zeros(SAMPLE_RATE, np.float32)
    samples = load_channels(tmp_path, np.concatenate([voice, pause]), np.concatenate([pause, voice]))
    np.testing.assert_allclose(samples, np.concatenate([voice, voice]) / 2, atol=1e-6)


def test_opposite_polarity_does_not_cancel(tmp_path: Path) -> None:
    assert np.abs((tone(3.0) + -tone(3.0)) / 2).max() == 0  # what averaging alone would give
    samples = load_channels(tmp_path, tone(3.0), -tone(3.0))
    np.testing.assert_allclose(np.abs(samples), np.abs(tone(3.0)), atol=1e-5)


def test_opposite_polarity_with_noise_and_a_third_channel(tmp_path: Path) -> None:
    voice = noise(3.0)
    samples = load_channels(tmp_path, voice + 0.1 * noise(3.0, 2), -voice, 0.5 * voice)
    assert abs(np.corrcoef(samples, voice)[0, 1]) > 0.99


# --------------------------------------------------------------------------- other names, and open files


def test_a_recording_goes_by_the_name_that_it_is_given(tmp_path: Path) -> None:
    path = write(tmp_path / "tone.flac", tone(1.0)).rename(tmp_path / "stored")
    plain, given = audio.load(path)[0], audio.load(path, name="Evening news.flac")[0]
    assert given.media == replace(plain.media, name="Evening news.flac")
    np.testing.assert_array_equal(given.samples, plain.samples)


@pytest.mark.parametrize("content", [None, b"", b"Good evening. " * 500, b"silence"])
def test_messages_about_a_named_recording_give_nothing_else_away(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "stored"
    if content == b"silence":
        soundfile.write(path, np.zeros(SAMPLE_RATE), SAMPLE_RATE, format="wav")
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(MediaError, match="Evening news") as caught:
        audio.load(path, name="Evening news.flac")
    assert one_sentence(caught.value)
    assert "stored" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("kind", ["folder", "pipe"])
def test_messages_about_what_is_no_file_name_it_too(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "stored"
    path.mkdir() if kind == "folder" else os.mkfifo(path)
    with pytest.raises(NotMediaError, match=r"^'Evening news' is"):
        audio.load(path, name="Evening news")


def test_an_open_file_is_read_from_its_start_and_left_open(tmp_path: Path) -> None:
    path = write(tmp_path / "tone.flac", tone(1.0))
    with path.open("rb") as file:
        file.seek(1000)
        fractions: list[float] = []
        recording, notices = audio.read(file, "tone.flac", progress=fractions.append)
        assert not file.closed
    loaded, expected = audio.load(path)
    assert (recording.media, notices) == (loaded.media, expected)
    np.testing.assert_array_equal(recording.samples, loaded.samples)
    assert fractions[-1] == 1.0


def test_an_open_file_is_checked_as_any_other(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    with (tmp_path / "a.wav").open("rb") as file, pytest.raises(EmptyMediaError, match="my clip is empty"):
        audio.read(file, "my clip")
    path = write(tmp_path / "tone.wav", tone(1.0))
    for limits, message in (
        (audio.Limits(size_bytes=1000), "my clip has"),
        (audio.Limits(duration=0.5), "longer than"),
        (audio.Limits(decode_time=-1.0), "to decode"),
    ):
        with path.open("rb") as file, pytest.raises(MediaLimitError, match=message):
            audio.read(file, "my clip", limits)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no devices here")
def test_an_open_device_is_refused() -> None:
    with Path("/dev/zero").open("rb") as file, pytest.raises(NotMediaError, match="'my clip' is not a reg"):
        audio.read(file, "my clip")


# --------------------------------------------------------------------------- samples that are no samples


def test_nan_and_infinity_become_silence(tmp_path: Path) -> None:
    samples = tone(2.0)
    samples[100], samples[200], samples[300] = np.nan, np.inf, -np.inf
    soundfile.write(tmp_path / "a.wav", samples, SAMPLE_RATE, subtype="FLOAT")
    loaded = audio.load(tmp_path / "a.wav")[0].samples
    expected = tone(2.0)
    expected[[100, 200, 300]] = 0
    np.testing.assert_allclose(loaded, expected, atol=1e-6)


def test_nan_does_not_spread_through_the_resampler(tmp_path: Path) -> None:
    samples = np.stack([tone(2.0, 48_000)] * 2, axis=1)
    samples[48_000] = np.nan
    soundfile.write(tmp_path / "a.wav", samples, 48_000, subtype="FLOAT")
    loaded = audio.load(tmp_path / "a.wav")[0].samples
    assert np.isfinite(loaded).all()
    assert np.count_nonzero(np.abs(loaded - tone(2.0)) > 0.01) < 100


def test_absurd_samples_are_clipped(tmp_path: Path) -> None:
    samples = tone(1.0)
    samples[500], samples[600] = 1e30, -1e30
    soundfile.write(tmp_path / "a.wav", samples, SAMPLE_RATE, subtype="FLOAT")
    loaded = audio.load(tmp_path / "a.wav")[0].samples
    assert (loaded[500], loaded[600]) == (1.0, -1.0)
    assert np.abs(np.delete(loaded, [500, 600])).max() == pytest.approx(0.5, abs=1e-3)


# --------------------------------------------------------------------------- what cannot be used


def one_sentence(error: BaseException) -> bool:
    text = str(error)
    return "\n" not in text and text.endswith(".") and "Traceback" not in text


@pytest.mark.parametrize("name", ["missing.wav", "no/such/folder.wav", "nul\0byte.wav", "x" * 300 + ".wav"])
def test_no_such_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(MediaError) as caught:
        audio.load(tmp_path / name)
    assert one_sentence(caught.value)


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(NotMediaError, match="is a folder"):
        audio.load(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    with pytest.raises(NotMediaError, match="not a regular file"):
        audio.load(tmp_path / "pipe.wav")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no devices here")
def test_a_device_is_refused() -> None:
    with pytest.raises(NotMediaError, match="not a regular file"):
        audio.load("/dev/zero")


def test_zero_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    with pytest.raises(EmptyMediaError, match="zero bytes"):
        audio.load(tmp_path / "a.wav")


@pytest.mark.parametrize(
    "content",
    [
        b"Good evening. " * 500,
        b"\x00" * 10_000,
        b"\xff" * 10_000,
        b"\x89PNG\r\n\x1a\n" + b"\x00" * 5_000,
        b"1\n00:00:01,000 --> 00:00:02,000\nHello\n\n" * 50,
        b"RIFF",
        b"%PDF-1.7\n" * 300,
        b"<html><body>404</body></html>",
    ],
    ids=["text", "zeros", "ones", "png", "srt", "stub", "pdf", "html"],
)
def test_not_media(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.mp3").write_bytes(content)
    with pytest.raises(NotMediaError) as caught:
        audio.load(tmp_path / "a.mp3")
    assert one_sentence(caught.value)


@pytest.mark.parametrize("seed", range(8))
def test_random_bytes(tmp_path: Path, seed: int) -> None:
    """They may start like a video."""
    (tmp_path / "a.mp3").write_bytes(np.random.default_rng(seed).bytes(200_000))
    with pytest.raises((NotMediaError, NoAudioTrackError)):
        audio.load(tmp_path / "a.mp3")


def test_no_audio_track(tmp_path: Path) -> None:
    with pytest.raises(NoAudioTrackError, match="no audio track"):
        audio.load(write_video(tmp_path / "a.mp4", None))


def test_a_tenth_of_a_second_holds_no_word(tmp_path: Path) -> None:
    with pytest.raises(EmptyMediaError, match=r"0\.10 s"):
        audio.load(write(tmp_path / "tone.wav", tone(0.1)))


def test_a_container_without_samples(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(0, np.float32), SAMPLE_RATE)
    with pytest.raises(MediaError) as caught:
        audio.load(tmp_path / "a.wav")
    assert one_sentence(caught.value)


@pytest.mark.parametrize("level", [0.0, 2 / 32768])
def test_digital_silence(tmp_path: Path, level: float) -> None:
    soundfile.write(tmp_path / "a.wav", level * np.sign(noise(3.0)), SAMPLE_RATE)
    with pytest.raises(NoSpeechError, match="silent"):
        audio.load(tmp_path / "a.wav")


# --------------------------------------------------------------------------- limits


def test_too_large(tmp_path: Path) -> None:
    path = write(tmp_path / "tone.wav", tone(1.0))
    with pytest.raises(MediaLimitError, match="MB"):
        audio.load(path, audio.Limits(size_bytes=path.stat().st_size - 1))
    audio.load(path, audio.Limits(size_bytes=path.stat().st_size))


@pytest.mark.parametrize("name", ["tone.flac", "tone.ogg", "tone.aac"])
def test_too_long(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, tone(20.0))
    with pytest.raises(MediaLimitError, match="cut it into parts"):
        audio.load(path, audio.Limits(duration=10.0))
    audio.load(path, audio.Limits(duration=21.0))


@pytest.mark.parametrize(
    "content",
    [flac([pcm(1.0)] * 6, rate_hz=1), wav(pcm(1.0), rate_hz=123_456_789)],
    ids=["hours in one frame", "a filter of a gigabyte"],
)
def test_a_lie_about_the_sampling_rate_costs_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(NotMediaError, match="cannot be decoded"):
        audio.load(tmp_path / "a", audio.Limits(duration=1e9))


def test_the_highest_rate_in_use_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(wav(pcm(60.0), rate_hz=2_822_400))
    assert audio.load(tmp_path / "a.wav")[0].duration == pytest.approx(60 * SAMPLE_RATE / 2_822_400, abs=0.01)


def test_six_hours_are_within_the_limits_and_more_are_not(tmp_path: Path) -> None:
    reader = reader_for(tmp_path, audio.Limits())
    reader.check_duration(6 * 3600.0)
    with pytest.raises(MediaLimitError, match="6 h"):
        reader.check_duration(6 * 3600.0 + 1)


def reader_for(tmp_path: Path, limits: audio.Limits) -> audio._Reader:
    (tmp_path / "a").write_bytes(b"abc")
    with (tmp_path / "a").open("rb") as file:
        return audio._Reader(file, "a.wav", limits, lambda fraction: None)


def track() -> audio._Track:
    return audio._Track("wav", "pcm_s16le", SAMPLE_RATE, 1, start=0.0, duration=0.0)


def endless() -> Iterator[Channels]:
    return itertools.repeat(np.full((1, SAMPLE_RATE), 0.1, np.float32))


def test_decoding_stops_where_the_limit_is_crossed(tmp_path: Path) -> None:
    """Sound without end, whose length no header gives away."""
    with pytest.raises(MediaLimitError, match="longer than"):
        audio._mix(endless(), track(), reader_for(tmp_path, audio.Limits(duration=30.0)))


def test_decoding_stops_when_its_time_is_up(tmp_path: Path) -> None:
    with pytest.raises(MediaLimitError, match="to decode"):
        audio._mix(endless(), track(), reader_for(tmp_path, audio.Limits(decode_time=0.2, duration=1e9)))


def test_too_slow(tmp_path: Path) -> None:
    path = write(tmp_path / "tone.flac", tone(2.0))
    with pytest.raises(MediaLimitError, match="to decode"):
        audio.load(path, audio.Limits(decode_time=-1.0))


def test_parts_hold_little_more_than_the_result() -> None:
    class SmallParts(audio._Parts):
        PART_SAMPLES = 2**16

    tracemalloc.start()
    try:
        parts = SmallParts()
        for _ in range(100):
            parts.append(np.ones(2**15 + 7, np.float32))
        joined = parts.join()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # np.empty counts in full at once here; a mapped page counts only when it is touched
    assert peak <= 2 * joined.nbytes + 4 * 4 * 2**16
    assert joined.nbytes == 100 * (2**15 + 7) * 4


@given(st.lists(st.integers(0, 40), max_size=12), st.integers(1, 16))
def test_parts_joined_are_all_samples_in_order(lengths: list[int], part_samples: int) -> None:
    parts = audio._Parts()
    parts.PART_SAMPLES = part_samples
    pieces = [np.full(n, i, np.float32) + np.arange(n, dtype=np.float32) for i, n in enumerate(lengths)]
    for piece in pieces:
        parts.append(np.asarray(piece, np.float32))
    np.testing.assert_array_equal(parts.join(), np.concatenate([np.zeros(0, np.float32), *pieces]))


# --------------------------------------------------------------------------- broken files


@pytest.mark.parametrize("name", ["tone.flac", "tone.mp3", "tone.mkv"])
def test_of_a_truncated_file_the_part_that_is_there_is_kept(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name, noise(10.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    recording, notices = audio.load(path)
    assert recording.duration == pytest.approx(5.0, abs=0.6)
    assert [notice.code for notice in notices] == ["truncated"]
    assert "of 10." in notices[0].message


def test_of_a_truncated_wav_file_the_part_that_is_there_is_kept(tmp_path: Path) -> None:
    """ffmpeg corrects a WAV header by the size of the file, so nobody can tell that the end is missing."""
    path = write(tmp_path / "tone.wav", noise(10.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert audio.load(path)[0].duration == pytest.approx(5.0, abs=0.1)


def test_a_truncated_movie_without_its_index_is_not_media(tmp_path: Path) -> None:
    path = write(tmp_path / "tone.m4a", noise(10.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(NotMediaError, match="damaged"):
        audio.load(path)


@pytest.mark.parametrize("name", ["tone.ogg", "tone.mkv", "tone.ts"])
def test_damage_in_the_middle_is_left_out_and_moves_nothing(tmp_path: Path, name: str) -> None:
    clicks = 0.01 * noise(20.0)
    clicks[18 * SAMPLE_RATE :] += tone(2.0)
    path = write(tmp_path / name, clicks)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 6000] = b"\x55" * 6000
    path.write_bytes(content)
    recording, _ = audio.load(path)
    start = np.flatnonzero(np.abs(recording.samples) > 0.2)[0] / SAMPLE_RATE
    assert start == pytest.approx(18.0, abs=0.2)


FUZZED = ("tone.wav", "tone.flac", "tone.ogg", "tone.mp3", "tone.m4a", "tone.mkv", "tone.ts")


@pytest.fixture(scope="module")
def intact(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("intact")
    return {name: write(folder / name, noise(1.0)).read_bytes() for name in FUZZED}


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzzed") / "a.bin"


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(FUZZED),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), max_size=8),
    st.floats(0, 1),
)
def test_damage_never_raises_anything_but_a_media_error(
    intact: dict[str, bytes], fuzzed: Path, name: str, patches: list[tuple[float, bytes]], kept: float
) -> None:
    content = bytearray(intact[name])
    for place, patch in patches:
        start = int(place**4 * (len(content) - len(patch)))  # headers are worth more attempts
        content[start : start + len(patch)] = patch
    fuzzed.write_bytes(content[: int((1 - kept**4) * len(content))])
    with suppress(MediaError):
        recording, _ = audio.load(fuzzed, audio.Limits(duration=600.0, decode_time=30.0))
        assert np.isfinite(recording.samples).all()
        assert np.abs(recording.samples).max() <= 1.0


# --------------------------------------------------------------------------- files that point elsewhere

CONCAT = "ffconcat version 1.0\nfile neighbour.wav\n"
PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nneighbour.wav\n#EXT-X-ENDLIST\n"
SESSION = "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n"
MANIFEST = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="audio/wav"><Representation id="1">'
    "<BaseURL>neighbour.wav</BaseURL></Representation></AdaptationSet></Period></MPD>"
)


@pytest.fixture
def neighbour(tmp_path: Path) -> Path:
    return write(tmp_path / "neighbour.wav", tone(2.0))


def test_the_attack_is_real(tmp_path: Path, neighbour: Path) -> None:
    """What the next tests rule out: ffmpeg left to itself reads the file beside the named one."""
    assert neighbour.exists()
    (tmp_path / "a.mp3").write_text(CONCAT)
    with av.open(str(tmp_path / "a.mp3")) as container:
        assert container.format.name == "concat"
        assert sum(frame.samples for frame in container.decode(audio=0)) == 2 * SAMPLE_RATE


@pytest.mark.parametrize("suffix", ["mp3", "wav", "ffconcat", "m3u8", "mpd", "sdp"])
@pytest.mark.parametrize(
    "content", [CONCAT, PLAYLIST, SESSION, MANIFEST], ids=["concat", "m3u8", "sdp", "dash"]
)
@pytest.mark.usefixtures("neighbour")
def test_a_list_of_other_files_is_not_media(tmp_path: Path, content: str, suffix: str) -> None:
    (tmp_path / f"a.{suffix}").write_text(content)
    with pytest.raises(NotMediaError):
        audio.load(tmp_path / f"a.{suffix}")


@pytest.mark.parametrize("content", [CONCAT, PLAYLIST], ids=["concat", "m3u8"])
@pytest.mark.usefixtures("neighbour")
def test_a_container_that_were_allowed_by_mistake_still_opens_nothing(
    tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audio, "CONTAINERS", (*audio.CONTAINERS, "concat", "hls"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.m3u8").write_text(content)
    with pytest.raises(MediaError) as caught:
        audio.load(tmp_path / "a.m3u8")
    assert one_sentence(caught.value)


def test_no_listed_container_is_a_list() -> None:
    known = set(av.formats_available)
    assert set(audio.CONTAINERS) <= {part for name in known for part in name.split(",")}
    assert not {"concat", "hls", "dash", "imf", "sdp", "rtsp", "lavfi", "image2", "tty"} & set(
        audio.CONTAINERS
    )


def open_files() -> int:
    """How many files this process has open; 0 where the system does not tell."""
    return len(list(Path("/proc/self/fd").glob("*")))


def test_the_recording_is_closed_afterwards(tmp_path: Path) -> None:
    path = write(tmp_path / "tone.wav", tone(1.0))
    before = open_files()
    for _ in range(5):
        audio.load(path)
        with pytest.raises(MediaLimitError):
            audio.load(path, audio.Limits(duration=0.5))
    assert open_files() == before
