"""Recordings that mean harm, made by code: the same bytes every time.

Four kinds: files that point to other files or to the network, files that are something else, headers that
lie, and small files that decode to very much. The builders at the end write just as much of each container as
it takes to make ffmpeg believe it.
"""

from __future__ import annotations

import gzip
import io
import itertools
import math
import random
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from pipelines.types import SAMPLE_RATE, Samples
from tests.support.media import CODECS, noise, tone, write, write_video

NOT_MEDIA = frozenset({"not_media"})
LIMIT = frozenset({"media_limit"})
EMPTY = frozenset({"empty_media"})
SILENT = frozenset({"no_speech"})
NO_TRACK = frozenset({"no_audio_track"})
DONE = frozenset({"done"})
REFUSED = NOT_MEDIA | NO_TRACK
EITHER = REFUSED | DONE
"""Where versions of ffmpeg differ."""
DURATION = 3600.0
"""The limit that the bombs go beyond."""


@dataclass(frozen=True)
class Hostile:
    """A recording, and how decoding it may end: "done" or the code of a failure."""

    name: str
    content: bytes
    codes: frozenset[str]


def corpus(neighbour: Path, address: str, folder: Path) -> list[Hostile]:
    """All of them. Those that point elsewhere point to a WAV file and an address; `folder` is for scraps."""
    return [*pointers(neighbour, address, folder), *impostors(folder), *lies(folder), *bombs()]


# --------------------------------------------------------------------------- they point elsewhere


def pointers(neighbour: Path, address: str, folder: Path) -> Iterator[Hostile]:
    followed = ("ffconcat", "m3u8")
    for kind, target in {"path": str(neighbour), "http": f"http://{address}/a.wav"}.items():
        for language, text in _lists(target, address).items():
            if language in followed or kind == "path":
                yield Hostile(f"{language}-{kind}", text.encode(), NOT_MEDIA)
            if language in followed:
                yield Hostile(f"gab2-{language}-{kind}", avi_with_subtitle(text.encode()), DONE)
        yield Hostile(f"dref-{kind}", movie(b"", dref=_url(target)), EMPTY)
        yield Hostile(f"rmra-{kind}", movie_of_references(target), NOT_MEDIA)
    for kind, target in {"name": neighbour.name, "file": neighbour.as_uri()}.items():
        yield Hostile(f"ffconcat-{kind}", _lists(target, address)["ffconcat"].encode(), NOT_MEDIA)
    yield Hostile("dref-alias", movie(b"", dref=_alias(neighbour)), EMPTY)
    tagged = id3(b"APIC", b"\0-->\0\3\0" + f"http://{address}/a.png".encode())
    yield Hostile("id3-linked-picture", tagged + real(folder, ".mp3"), DONE)
    yield Hostile("id3-m3u8", tagged + _lists(str(neighbour), address)["m3u8"].encode(), NOT_MEDIA)
    linked = ebml(0x3EB923, b"n" * 16) + ebml(0x3E83BB, str(neighbour).encode())  # NextUID, NextFilename
    yield Hostile("matroska-next-segment", matroska(pcm(1.0), info=linked), DONE)


def _lists(target: str, address: str) -> dict[str, str]:
    """Texts that name another file, in every language for that which ffmpeg understands."""
    host, _, port = address.partition(":")
    return {
        "ffconcat": f"ffconcat version 1.0\nfile '{target}'\n",
        "m3u8": f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{target}\n#EXT-X-ENDLIST\n",
        "m3u8-key": f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF:2,\na.ts\n#EXT-X-ENDLIST\n',
        "mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT2S"><Period><AdaptationSet mimeType="audio/wav"><Representation id="1">'
        f"<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>",
        "sdp": f"v=0\no=- 0 0 IN IP4 {host}\ns=x\nc=IN IP4 {host}\nt=0 0\nm=audio {port} RTP/AVP 0\n",
        "imf": '<?xml version="1.0"?><AssetMap xmlns="http://www.smpte-ra.org/schemas/429-9/2007/AM"><AssetList>'
        f"<Asset><ChunkList><Chunk><Path>{target}</Path></Chunk></ChunkList></Asset></AssetList></AssetMap>",
        "asx": f'<asx version="3.0"><entry><ref href="{target}"/></entry></asx>',
        "asf-reference": f"[Reference]\r\nRef1={target}\r\n",
        "pls": f"[playlist]\nFile1={target}\nNumberOfEntries=1\n",
        "smooth": f'<SmoothStreamingMedia><StreamIndex Url="{target}"/></SmoothStreamingMedia>',
        "lavfi": f"amovie={target}\n",
        "avisynth": f'DirectShowSource("{target}")\n',
    }


def _url(target: str) -> bytes:
    return box(b"url ", bytes(4), target.encode() + b"\0")


def _alias(neighbour: Path) -> bytes:
    """A Macintosh alias record (version 2) whose absolute path names the neighbour."""
    path = str(neighbour).encode()
    head = struct.pack(">4sHH", b"\0" * 4, 150, 2) + bytes(142)
    return box(
        b"alis",
        bytes(4),
        head,
        struct.pack(">HH", 18, len(path)),
        path,
        bytes(len(path) % 2),
        b"\xff\xff\0\0",
    )


# --------------------------------------------------------------------------- they are something else


def impostors(folder: Path) -> Iterator[Hostile]:
    zipped, packed = io.BytesIO(), bytes(10 * 2**20)
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.wav"), packed, zipfile.ZIP_DEFLATED)
    yield Hostile("empty", b"", EMPTY)
    yield Hostile("one-byte", b"R", NOT_MEDIA)
    yield Hostile("text", b"Good evening. " * 500, NOT_MEDIA)
    yield Hostile("zip-bomb", zipped.getvalue(), NOT_MEDIA)
    yield Hostile("gzip-bomb", gzip.compress(packed, mtime=0), NOT_MEDIA)
    yield Hostile("html", b"<!DOCTYPE html><html><body>404 Not Found</body></html>" * 20, NOT_MEDIA)
    yield Hostile("pdf", b"%PDF-1.7\n1 0 obj <</Type /Catalog>> endobj\n" * 100, NOT_MEDIA)
    yield Hostile("png", png(), NOT_MEDIA)
    yield Hostile("elf", b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHI", 2, 62, 1) + bytes(4000), NOT_MEDIA)
    yield Hostile("shell", b"#!/bin/sh\ntouch owned\n", NOT_MEDIA)
    yield Hostile("video-only", write_video(folder / "video.mp4", None).read_bytes(), NO_TRACK)
    yield Hostile("subtitle-beside-sound", matroska(pcm(1.0), tracks=subtitle_track()), DONE)
    yield Hostile("subtitle-only", matroska(b"Hello", tracks=subtitle_track(), sound=False), NO_TRACK)
    yield Hostile("silence", wav(bytes(64_000)), SILENT)


# --------------------------------------------------------------------------- their headers lie


def lies(folder: Path) -> Iterator[Hostile]:
    yield from _lying_wavs()
    yield from _lying_flacs()
    yield from _lying_tags(folder)
    yield from _lying_oggs(folder)
    yield from _lying_matroskas()
    yield from _lying_movies()
    infinite, second = b"\x7f\xff" + b"\xff" * 8, pcm(1.0)
    yield Hostile("aiff-of-infinite-rate", aiff(second, rate=infinite), EITHER)
    yield Hostile("caf-of-negative-size", caf(second, data_bytes=-2), EITHER)


def _lying_wavs() -> Iterator[Hostile]:
    second = pcm(1.0)
    yield Hostile("wav-of-ten-hours", wav(second, data_bytes=36_000 * 32_000), DONE)
    yield Hostile("wav-of-largest-size", wav(second, data_bytes=2**32 - 1), DONE)
    yield Hostile("wav-without-channels", wav(second, channels=0), REFUSED)
    yield Hostile("wav-of-65535-channels", wav(second, channels=65535), REFUSED)
    yield Hostile("wav-of-64-channels", wav(pcm(20.0), channels=64, block_bytes=128), DONE)
    yield Hostile("wav-without-rate", wav(second, rate_hz=0), REFUSED)
    yield Hostile("wav-of-1-hz", wav(second, rate_hz=1), LIMIT)
    yield Hostile("wav-of-123456789-hz", wav(second, rate_hz=123456789), REFUSED | EMPTY)
    yield Hostile("wav-of-largest-rate", wav(second, rate_hz=2**32 - 1), REFUSED)
    yield Hostile("wav-without-blocks", wav(second, block_bytes=0), EITHER)
    yield Hostile("wav-without-bits", wav(second, bits=0), EITHER)
    yield Hostile("wav-of-65535-bits", wav(second, bits=65535), EITHER)


def _lying_flacs() -> Iterator[Hostile]:
    hour = flac([pcm(1.0)] * 6, rate_hz=1, block_samples=SAMPLE_RATE)
    yield Hostile("flac-of-ten-hours", flac([pcm(1.0)], total_samples=36_000 * SAMPLE_RATE), LIMIT)
    yield Hostile("flac-without-rate", flac([pcm(1.0)], rate_hz=0), REFUSED)
    yield Hostile("flac-of-hours-a-frame", hour, REFUSED)
    yield Hostile("flac-of-18-hours-a-frame", flac([bytes(2)] * 9, rate_hz=1, block_samples=65535), REFUSED)


def _lying_tags(folder: Path) -> Iterator[Hostile]:
    sound, most = real(folder, ".mp3"), 2**28 - 1
    packed = struct.pack(">I", 2**27) + zlib.compress(bytes(2**20))
    yield Hostile("id3-of-256-mb", id3(b"TIT2", b"x", tag_bytes=most) + sound, EITHER)
    yield Hostile("id3-frame-of-256-mb", id3(b"TIT2", b"x", frame_bytes=most) + sound, DONE)
    yield Hostile("id3-compressed", id3(b"COMM", packed, flags=9) + sound, DONE)


def _lying_oggs(folder: Path) -> Iterator[Hostile]:
    sound = real(folder, ".ogg", 4.0)
    for name, granules in {
        "largest": [2**63 - 1],
        "negative": [-(2**63)],
        "falling": [10_000_000, 5, 20_000_000, 3],
        "leaping": [2**40, 2**41, 2**42],
    }.items():
        yield Hostile(f"opus-of-{name}-granules", regranulated(sound, granules), DONE | LIMIT)
    yield Hostile("opus-that-skips-all", opus(1.0, skip_samples=65535), NOT_MEDIA | EMPTY)
    yield Hostile("opus-without-channels", opus(1.0, channels=0), REFUSED)
    yield Hostile("opus-of-255-channels", opus(1.0, channels=255), REFUSED)


def _lying_matroskas() -> Iterator[Hostile]:
    second = pcm(1.0)
    numbers = {"infinite": math.inf, "no-number": math.nan, "negative": -1.0}
    for name, number in numbers.items():
        yield Hostile(f"matroska-of-{name}-duration", matroska(second, info=ebml_float(0x4489, number)), DONE)
        yield Hostile(f"matroska-of-{name}-rate", matroska(second, rate_hz=number), EITHER)
    endless = matroska(second)[:-32_000] + b"\x01" + b"\xff" * 7 + second
    yield Hostile("matroska-of-many-channels", matroska(second, channels=2**31), REFUSED)
    yield Hostile("matroska-of-absurd-sizes", endless, EITHER)
    yield Hostile("matroska-deeply-nested", matroska(second, info=nested(0x1043A770, 2000)), EITHER)


def _lying_movies() -> Iterator[Hostile]:
    second, most = pcm(1.0), 2**32 - 1
    yield Hostile("mov-of-absurd-duration", movie(second, duration=2**63 - 1), DONE | LIMIT)
    yield Hostile("mov-without-time-scale", movie(second, time_scale=0), DONE | LIMIT)
    yield Hostile("mov-of-4-billion-times", movie(second, times=most), EITHER)
    yield Hostile("mov-of-4-billion-sizes", movie(second, sizes=most), EITHER)
    yield Hostile("mov-of-4-billion-chunks", movie(second, claimed_chunks=most), EITHER)
    yield Hostile("mov-of-boxes-in-boxes", boxes_in_boxes(2000), REFUSED)


# --------------------------------------------------------------------------- they decode to very much


def bombs() -> Iterator[Hostile]:
    yield Hostile("flac-bomb", silent_flac(2 * DURATION, hide_duration=True), LIMIT)
    yield Hostile("opus-bomb", opus(2 * DURATION), LIMIT)
    yield Hostile("mov-bomb", movie(pcm(2.0), chunks=4000), LIMIT)
    yield Hostile(
        "matroska-bomb", matroska(zlib.compress(bytes(2**21), 9), blocks=240, compressed=True), LIMIT
    )


# --------------------------------------------------------------------------- they are damaged


def mutation(number: int, folder: Path) -> bytes:
    """A recording damaged as its number decides: bytes, blocks and integers changed, the end lost."""
    choice = random.Random(number)
    content = bytearray(choice.choice(_intact(folder)))
    for _ in range(choice.choice((1, 1, 2, 4, 16, 64))):
        place = int(choice.random() ** 3 * len(content))  # headers are worth more attempts
        damage = choice.choice((_byte, _bit, _integer, _cut, _repeat, _end))
        content = damage(content, place, choice) if content else content
    return bytes(content)


def _byte(content: bytearray, place: int, choice: random.Random) -> bytearray:
    content[place] = choice.randrange(256)
    return content


def _bit(content: bytearray, place: int, choice: random.Random) -> bytearray:
    content[place] ^= 1 << choice.randrange(8)
    return content


def _integer(content: bytearray, place: int, choice: random.Random) -> bytearray:
    """One of those that computing with goes wrong."""
    bits = choice.choice((16, 32, 64))
    number = choice.choice((0, 1, 2 ** (bits - 1) - 1, 2 ** (bits - 1), 2**bits - 1, 2**bits - 2))
    content[place : place + bits // 8] = number.to_bytes(bits // 8, choice.choice(("little", "big")))
    return content


def _cut(content: bytearray, place: int, choice: random.Random) -> bytearray:
    del content[place : place + choice.randrange(1, 64)]
    return content


def _repeat(content: bytearray, place: int, choice: random.Random) -> bytearray:
    block = content[place : place + choice.randrange(1, 4096)]
    content[place:place] = block * choice.randrange(1, 8)
    return content


def _end(content: bytearray, place: int, choice: random.Random) -> bytearray:
    return content[: len(content) - place] if choice.random() < 0.2 else content


@cache
def _intact(folder: Path) -> list[bytes]:
    """One sound file of every container that is common, and of those that are built here."""
    subtitled = matroska(pcm(1.0), tracks=subtitle_track())
    video = write_video(folder / "sound.mp4", noise(2.0)).read_bytes()
    built = [movie(pcm(1.0), chunks=3), subtitled, avi_with_subtitle(b"Hello"), video]
    return [real(folder, Path(name).suffix) for name in CODECS] + built


# --------------------------------------------------------------------------- builders


@cache
def real(folder: Path, suffix: str, duration: float = 1.0) -> bytes:
    """A sound file that means no harm."""
    return write(folder / f"real{suffix}", noise(duration)).read_bytes()


def pcm(duration: float) -> bytes:
    """A tone, as 16-bit little-endian samples at SAMPLE_RATE."""
    return (tone(duration) * 32767).astype("<i2").tobytes()


def png() -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    head = struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(65 * 64)))
        + chunk(b"IEND", b"")
    )


def id3(
    kind: bytes,
    content: bytes,
    *,
    flags: int = 0,
    tag_bytes: int | None = None,
    frame_bytes: int | None = None,
) -> bytes:
    """An ID3v2.4 tag of one frame."""
    size = synchsafe(len(content) if frame_bytes is None else frame_bytes)
    frame = kind + size + struct.pack(">H", flags) + content
    return b"ID3\4\0\0" + synchsafe(len(frame) if tag_bytes is None else tag_bytes) + frame


def synchsafe(number: int) -> bytes:
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


# RIFF: https://www.mmsp.ece.mcgill.ca/Documents/AudioFormats/WAVE/WAVE.html


def chunk(kind: bytes, *content: bytes, size_bytes: int | None = None) -> bytes:
    body = b"".join(content)
    size = len(body) if size_bytes is None else size_bytes
    return kind + struct.pack("<I", size) + body + bytes(len(body) % 2)


def wav(
    samples: bytes,
    *,
    channels: int = 1,
    rate_hz: int = SAMPLE_RATE,
    bits: int = 16,
    block_bytes: int = 2,
    data_bytes: int | None = None,
) -> bytes:
    form = struct.pack(
        "<HHIIHH", 1, channels, rate_hz, min(rate_hz * block_bytes, 2**32 - 1), block_bytes, bits
    )
    data = chunk(b"data", samples, size_bytes=data_bytes)
    size = min(36 + (data_bytes or len(samples)), 2**32 - 1)
    return chunk(b"RIFF", b"WAVE", chunk(b"fmt ", form), data, size_bytes=size)


def avi_with_subtitle(content: bytes) -> bytes:
    """A subtitle track is opened with whatever demuxer its content suggests: the way in of CVE-2017-9993."""

    def track(kind: bytes, rate_hz: int, form: bytes) -> bytes:
        head = struct.pack(
            "<4s4sIHHIIIIIIIIhhhh", kind, bytes(4), 0, 0, 0, 0, 1, rate_hz, 0, 1000, 0, 0, 2, 0, 0, 0, 0
        )
        return chunk(b"LIST", b"strl", chunk(b"strh", head), chunk(b"strf", form))

    sound = struct.pack("<HHIIHH", 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16)
    head = chunk(b"avih", struct.pack("<14I", 40_000, 0, 0, 0x110, 25, 0, 2, 0, 0, 0, 0, 0, 0, 0))
    title = struct.pack("<HIH", 2, 2, 0)
    subtitle = b"GAB2\0" + title + struct.pack("<HI", 4, len(content)) + content
    movi = chunk(b"LIST", b"movi", chunk(b"01tx", subtitle), chunk(b"00wb", pcm(1.0)))
    lists = chunk(b"LIST", b"hdrl", head, track(b"auds", SAMPLE_RATE, sound), track(b"txts", 25, b""))
    return chunk(b"RIFF", b"AVI ", lists, movi)


# AIFF and CAF


def aiff(samples: bytes, *, rate: bytes) -> bytes:
    """`rate` is an 80-bit float."""
    common = struct.pack(">hIh", 1, len(samples) // 2, 16) + rate
    data = bytes(8) + samples
    body = (
        b"AIFF"
        + b"COMM"
        + struct.pack(">I", len(common))
        + common
        + b"SSND"
        + struct.pack(">I", len(data))
        + data
    )
    return b"FORM" + struct.pack(">I", len(body)) + body


def caf(samples: bytes, *, data_bytes: int) -> bytes:
    description = struct.pack(">d4sIIIII", SAMPLE_RATE, b"lpcm", 2, 2, 1, 1, 16)
    head = b"caff" + struct.pack(">HH", 1, 0) + b"desc" + struct.pack(">q", len(description)) + description
    return head + b"data" + struct.pack(">q", data_bytes) + bytes(4) + samples


# FLAC: RFC 9639


def silent_flac(duration: float, *, first: Samples | None = None, hide_duration: bool = False) -> bytes:
    """Mostly silence, about three bytes a second; `first` is what it starts with."""
    count = -(-round(duration * SAMPLE_RATE) // BLOCK_SAMPLES)
    start = np.zeros(BLOCK_SAMPLES, "<i2")
    if first is not None:
        start[: len(first)] = first * 32767
    return flac(
        [start.tobytes(), *itertools.repeat(bytes(2), count - 1)],
        total_samples=0 if hide_duration else count * BLOCK_SAMPLES,
        block_samples=BLOCK_SAMPLES,
    )


BLOCK_SAMPLES = 65535


def flac(
    frames: list[bytes],
    *,
    rate_hz: int = SAMPLE_RATE,
    total_samples: int = 0,
    block_samples: int = SAMPLE_RATE,
) -> bytes:
    """Each frame is one little-endian sample that holds for the whole block, or all samples of the block."""
    sizes = struct.pack(">HH", block_samples, block_samples) + bytes(6)
    rate_channels_bits_total = rate_hz << 44 | 0 << 41 | 15 << 36 | total_samples
    info = sizes + struct.pack(">Q", rate_channels_bits_total) + bytes(16)
    head = b"fLaC\x80" + len(info).to_bytes(3, "big") + info
    return head + b"".join(_flac_frame(i, frame, block_samples) for i, frame in enumerate(frames))


def _flac_frame(number: int, samples: bytes, block_samples: int) -> bytes:
    head = b"\xff\xf8\x70\x00" + chr(number).encode() + struct.pack(">H", block_samples - 1)
    kind = b"\x00" if len(samples) == 2 else b"\x02"
    frame = head + bytes([crc(head, 8, 0x07)]) + kind + np.frombuffer(samples, "<i2").astype(">i2").tobytes()
    return frame + struct.pack(">H", crc(frame, 16, 0x8005))


def crc(content: bytes | bytearray, bits: int, polynomial: int) -> int:
    """Most significant bit first, from zero."""
    table, value, mask = _crc_table(bits, polynomial), 0, (1 << bits) - 1
    for byte in content:
        value = (value << 8 & mask) ^ table[value >> bits - 8 ^ byte]
    return value


@cache
def _crc_table(bits: int, polynomial: int) -> list[int]:
    table = []
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = value << 1 ^ (polynomial if value >> bits - 1 & 1 else 0)
        table.append(value & (1 << bits) - 1)
    return table


# Ogg and Opus: RFC 3533, RFC 7845


def opus(duration: float, *, channels: int = 1, skip_samples: int = 0) -> bytes:
    """Silence, six frames of 20 ms a packet."""
    head = struct.pack("<8sBBHIhB", b"OpusHead", 1, channels, skip_samples, 48_000, 0, 0)
    pages = [ogg_page(0, 0, [head]), ogg_page(1, 0, [struct.pack("<8sII", b"OpusTags", 0, 0)])]
    packet, packets = b"\xfb\x06" + b"\xff\xfe" * 6, round(duration / 0.12)
    for start in range(0, packets, 200):
        end = min(start + 200, packets)
        pages.append(ogg_page(len(pages), 5760 * end, [packet] * (end - start)))
    return b"".join(pages)


def regranulated(content: bytes, granules: list[int]) -> bytes:
    """An Ogg file whose last pages say that they end at the `granules`."""
    pages = [b"OggS" + page for page in content.split(b"OggS")[1:]]
    for i, granule in enumerate(granules, -len(granules)):
        page = bytearray(pages[i])
        page[6:14] = (granule & 2**64 - 1).to_bytes(8, "little")
        pages[i] = _summed(page)
    return b"".join(pages)


def ogg_page(number: int, granule: int, packets: list[bytes]) -> bytes:
    head = struct.pack("<4sBBQIIIB", b"OggS", 0, 0 if number else 2, granule, 1, number, 0, len(packets))
    return _summed(bytearray(head + bytes(map(len, packets)) + b"".join(packets)))


def _summed(page: bytearray) -> bytes:
    page[22:26] = bytes(4)
    page[22:26] = crc(page, 32, 0x04C11DB7).to_bytes(4, "little")
    return bytes(page)


# Matroska: RFC 9559


def ebml(identity: int, *content: bytes) -> bytes:
    body = b"".join(content)
    return (
        identity.to_bytes((identity.bit_length() + 7) // 8, "big")
        + (1 << 56 | len(body)).to_bytes(8, "big")
        + body
    )


def ebml_number(identity: int, number: int) -> bytes:
    return ebml(identity, number.to_bytes(8, "big"))


def ebml_float(identity: int, number: float) -> bytes:
    return ebml(identity, struct.pack(">d", number))


def nested(identity: int, depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        content = ebml(identity, content)
    return content


def subtitle_track() -> bytes:
    return ebml(
        0xAE, ebml_number(0xD7, 2), ebml_number(0x73C5, 2), ebml_number(0x83, 17), ebml(0x86, b"S_TEXT/UTF8")
    )


def matroska(
    samples: bytes,
    *,
    rate_hz: float = SAMPLE_RATE,
    channels: int = 1,
    info: bytes = b"",
    tracks: bytes = b"",
    sound: bool = True,
    blocks: int = 1,
    compressed: bool = False,
) -> bytes:
    """PCM sound, the same block several times."""
    head = ebml(0x1A45DFA3, ebml(0x4282, b"matroska"), ebml_number(0x4287, 4), ebml_number(0x4285, 2))
    form = ebml(0xE1, ebml_float(0xB5, rate_hz), ebml_number(0x9F, channels), ebml_number(0x6264, 16))
    packing = ebml(0x6D80, ebml(0x6240, ebml(0x5034, ebml_number(0x4254, 0)))) if compressed else b""
    track = ebml(
        0xAE,
        *(ebml_number(0xD7, 1), ebml_number(0x73C5, 1), ebml_number(0x83, 2)),
        *(ebml(0x86, b"A_PCM/INT/LIT"), form, packing),
    )
    block = ebml(0xA3, b"\x81\0\0\x80" if sound else b"\x82\0\0\x80", samples)
    cluster = ebml(0x1F43B675, ebml_number(0xE7, 0), *[block] * blocks)
    return head + ebml(
        0x18538067,
        ebml(0x1549A966, ebml_number(0x2AD7B1, 10**6), info),
        ebml(0x1654AE6B, track if sound else b"", tracks),
        cluster,
    )


# QuickTime: ISO/IEC 14496-12


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I", 8 + len(body)) + kind + body


def boxes_in_boxes(depth: int) -> bytes:
    content = b""
    for _ in range(depth):
        content = box(b"trak", content)
    return box(b"ftyp", b"qt  ", bytes(4)) + box(b"moov", content)


def movie_of_references(target: str) -> bytes:
    """Nothing but the address of the real movie."""
    url = target.encode() + b"\0"
    reference = box(b"rdrf", bytes(4), b"url ", struct.pack(">I", len(url)), url)
    return box(b"ftyp", b"qt  ", bytes(4)) + box(b"moov", box(b"rmra", box(b"rmda", reference)))


SELF_CONTAINED = box(b"url ", b"\0\0\0\1")


def movie(
    samples: bytes,
    *,
    chunks: int = 1,
    claimed_chunks: int | None = None,
    dref: bytes = SELF_CONTAINED,
    duration: int | None = None,
    time_scale: int = SAMPLE_RATE,
    times: int | None = None,
    sizes: int | None = None,
) -> bytes:
    """16-bit samples, the same chunk of them several times."""
    start = box(b"ftyp", b"qt  ", bytes(4))
    offset = len(start) + 8
    a_chunk = len(samples) // 2 or SAMPLE_RATE
    count = a_chunk * chunks
    length = count if duration is None else duration
    description = struct.pack(">6xHHHIHHHHI", 1, 0, 0, 0, 1, 16, 0, 0, SAMPLE_RATE << 16)
    table = box(
        b"stbl",
        box(b"stsd", struct.pack(">II", 0, 1), box(b"sowt", description)),
        box(b"stts", struct.pack(">IIII", 0, 1 if times is None else times, count, 1)),
        box(b"stsc", struct.pack(">IIIII", 0, 1, 1, a_chunk, 1)),
        box(b"stsz", struct.pack(">III", 0, 2 if sizes is None else 0, count if sizes is None else sizes)),
        box(
            b"stco",
            struct.pack(">II", 0, chunks if claimed_chunks is None else claimed_chunks),
            struct.pack(">I", offset) * chunks,
        ),
    )
    media = box(
        b"mdia",
        box(b"mdhd", b"\1\0\0\0", bytes(16), struct.pack(">IQI", time_scale, length, 0)),
        box(b"hdlr", bytes(4), b"mhlrsoun", bytes(13)),
        box(
            b"minf", box(b"smhd", bytes(8)), box(b"dinf", box(b"dref", struct.pack(">II", 0, 1), dref)), table
        ),
    )
    head = struct.pack(">IIIII", 0, 0, 0, time_scale, min(length, 2**32 - 1)) + bytes(80)
    track = box(b"tkhd", struct.pack(">IIII", 1, 0, 0, 1) + bytes(68))
    return start + box(b"mdat", samples) + box(b"moov", box(b"mvhd", head), box(b"trak", track, media))
