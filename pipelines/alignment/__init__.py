"""Where every supplied token is in the recording, or that it was not spoken.

alignment     the door: a time for every token
comparison    how alike supplied and recognised words are
anchors       where long sequences are cut into pieces
editing       the cheapest edit script with affine gaps
speech_clock  time in which somebody speaks
placement     better times for missed words, by forced alignment between anchors
recovery      a text of which hardly a word was recognised, by forced alignment
"""

from pipelines.alignment.alignment import align
from pipelines.alignment.placement import place
from pipelines.alignment.recovery import LOW_MATCH, recover

__all__ = ["LOW_MATCH", "align", "place", "recover"]
