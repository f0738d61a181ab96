"""Where speakers overlap, and who of them is in front: the one who began last, until they stop.

a |===============|      a |====      ====|
b |    ======     |  →   b |    ======    |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from heapq import heappop, heappush
from itertools import groupby

from pipelines.types import Span, SpeakerSegment, join_spans


def exclusive(segments: Sequence[SpeakerSegment]) -> tuple[SpeakerSegment, ...]:
    """The segments without overlap, ordered by start: at every moment at most one speaker, the one in front.

    Takes O(n log n) time. Of two segments that begin together, the later one in the list is in front.
    """
    return join_segments(_pieces(sorted(segments, key=lambda segment: segment.start)))


def overlaps(segments: Sequence[SpeakerSegment]) -> tuple[Span, ...]:
    """When more than one speaker speaks, ordered; spans that touch are joined."""
    found: list[Span] = []
    front, until, behind = "", 0.0, 0.0  # who speaks longest, until when, and until when anyone else does
    for segment in sorted(segments, key=lambda segment: segment.start):
        end = min(behind if segment.speaker == front else until, segment.end)
        if segment.start < end:
            found.append(Span(segment.start, end))
        if segment.speaker != front:
            behind = max(behind, min(until, segment.end))
        if segment.end > until:
            front, until = segment.speaker, segment.end
    return tuple(join_spans(found))


def _pieces(segments: Sequence[SpeakerSegment]) -> Iterator[SpeakerSegment]:
    """Who is in front, from each start or end of a segment to the next."""
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


def join_segments(segments: Iterable[SpeakerSegment], gap: float = 0.0) -> tuple[SpeakerSegment, ...]:
    """Joins neighbouring segments of one speaker that are at most `gap` seconds apart."""
    runs = groupby(segments, key=lambda segment: segment.speaker)
    return tuple(segment for _, run in runs for segment in join_spans(run, gap))
