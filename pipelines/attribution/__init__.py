"""A speaker for every token, and the turns that follow.

attribution  one exact optimization over the whole recording
changes      how likely the speaker changes between two tokens
"""

from pipelines.attribution.attribution import attribute, take_turns

__all__ = ["attribute", "take_turns"]
