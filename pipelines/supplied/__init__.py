"""The text that the user supplied, as tokens with their place in it.

parsing  txt, srt, vtt or json to tokens
lines    where the spoken text lies in SRT and WebVTT files
marks    what captioners write that nobody says
"""

from pipelines.supplied.parsing import HEARD, load, parse, stand_in

__all__ = ["HEARD", "load", "parse", "stand_in"]
