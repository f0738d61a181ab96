"""Who speaks when, as SVG: positions are percentages of the recording, so that it fits any width."""

from __future__ import annotations

from collections.abc import Iterable

from pipelines.formats.markup import plain

_TICK_STEPS = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400)  # seconds
_MOST_TICKS = 8
_LAST_LABEL = 0.92  # from this share of the recording on, a label stands to the left of its tick


def minutes(time: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    whole = int(time)
    rest = f"{whole // 60 % 60:02}:{whole % 60:02}" if whole >= 3600 else f"{whole // 60}:{whole % 60:02}"
    return f"{whole // 3600}:{rest}" if whole >= 3600 else rest


def bars(spans: Iterable[tuple[float, float, str]], duration: float) -> str:
    """A picture of spans: start, end and the CSS class that gives the colour."""
    rects = "".join(_bar(start, end, name, duration) for start, end, name in spans)
    return f'<svg aria-hidden="true">{rects}</svg>'


def axis(duration: float) -> str:
    """Times at round intervals, at most eight of them."""
    step = next((step for step in _TICK_STEPS if duration / step <= _MOST_TICKS), _TICK_STEPS[-1])
    ticks = "".join(_tick(time, duration) for time in range(0, int(duration) + 1, step))
    return f'<svg aria-hidden="true">{ticks}</svg>'


def _bar(start: float, end: float, name: str, duration: float) -> str:
    left, width = _percent(start, duration), _percent(end - start, duration)
    return f'<rect class="{plain(name)}" x="{left}" width="{width}" height="100%"/>'


def _tick(time: int, duration: float) -> str:
    anchor = "end" if time > _LAST_LABEL * duration else "start"  # keeps the last one inside the picture
    return f'<text x="{_percent(time, duration)}" y="0.8em" text-anchor="{anchor}">{minutes(time)}</text>'


def _percent(time: float, duration: float) -> str:
    return f"{min(100.0, 100 * time / duration):.3f}%" if duration > 0 else "0%"
