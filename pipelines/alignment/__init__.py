"""Where every supplied token is in the recording, or that it was not spoken.

alignment     the doors: a time for every token, and better ones by forced alignment
comparison    how alike supplied and recognised words are
anchors       where long sequences are cut into pieces
editing       the cheapest edit script with affine gaps
speech_clock  time in which somebody speaks
placement     better times for missed words, by forced alignment between anchors
recovery      a text of which hardly a word was recognised, by forced alignment
"""

from pipelines.alignment.alignment import align, force_align
from pipelines.alignment.recovery import LOW_MATCH, covered_share, matched_share

__all__ = ["LOW_MATCH", "align", "covered_share", "force_align", "matched_share"]
