"""Two voices at once: when, and which of them is in front: whoever began last, until they stop.

a |===============|      a |====      ====|
b |    ======     |  →   b |    ======    |
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from heapq import heappop, heappush

from pipelines.types import Span, SpeakerSegment


def exclusive(segments: Sequence[SpeakerSegment]) -> tuple[SpeakerSegment, ...]:
    """The segments without overlap, ordered by start: at every moment at most one voice, the one in front.

    Takes n log n steps. Of two that begin together, the one that stands later in the list is in front.
    """
    return tuple(_joined(_pieces(sorted(segments, key=lambda segment: segment.start))))


def overlaps(segments: Sequence[SpeakerSegment]) -> tuple[Span, ...]:
    """When more than one voice speaks, ordered; what touches is one span."""
    found: list[Span] = []
    last: dict[str, float] = {}  # until when each voice has spoken so far
    for segment in sorted(segments, key=lambda segment: segment.start):
        until = max((end for speaker, end in last.items() if speaker != segment.speaker), default=0.0)
        end = min(until, segment.end)
        if found and segment.start < end and segment.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, end))
        elif segment.start < end:
            found.append(Span(segment.start, end))
        last[segment.speaker] = max(last.get(segment.speaker, 0.0), segment.end)
    return tuple(found)


def _pieces(segments: Sequence[SpeakerSegment]) -> Iterator[SpeakerSegment]:
    """Who is in front, from each start or end of a segment to the next one."""
    behind: list[tuple[float, int, SpeakerSegment]] = []  # a heap, the one in front at its top
    now = 0.0
    following = [*(segment.start for segment in segments[1:]), float("inf")]
    for order, (segment, until) in enumerate(zip(segments, following, strict=False)):
        heappush(behind, (-segment.start, -order, segment))
        now = max(now, segment.start)
        while behind and now < until:
            front = behind[0][2]
            end = min(front.end, until)
            if now < end:
                yield replace(front, start=now, end=end)
                now = end
            if front.end <= now:
                heappop(behind)


def _joined(pieces: Iterator[SpeakerSegment]) -> Iterator[SpeakerSegment]:
    """Pieces of one voice that touch become one."""
    last: SpeakerSegment | None = None
    for piece in pieces:
        if last is not None and last.speaker == piece.speaker and last.end == piece.start:
            last = replace(last, end=piece.end)
            continue
        if last is not None:
            yield last
        last = piece
    if last is not None:
        yield last
