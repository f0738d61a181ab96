"""The role and the name of each speaker, with the evidence for both.

roles          the door: clues summed over all joint assignments
conversation   the recording as turns, in two readings, and its broadcaster
passages       the words of one turn, to be searched and quoted
turn_order     who asks, who answers, who stands between the others
remarks        what is said by, to and about each speaker
labels         speaker labels in the text
mentions       where somebody is named, and which speakers that points at
slots          a place where somebody may be named, cut into chunks
introductions  the name, organisation and occupation in a slot
vocatives      names by which one speaker calls another
naming         a name for each speaker: mentions grouped by person and added up
phrases        the words for all of this as data, one table per language
"""

from pipelines.roles.roles import assign_roles

__all__ = ["assign_roles"]
