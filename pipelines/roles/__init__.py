"""The role and the name of each speaker, with the evidence for both.

roles          the whole of it: cues summed over all joint assignments
conversation   the recording as turns, read in two ways, and its broadcaster
passages       the words of one turn, to be searched and quoted
turn_order     who asks, who answers, who stands between the others
remarks        what is said by each speaker, to each and about each
labels         speaker labels in the text
mentions       where somebody is named, and which speakers that points at
slots          the place where somebody may be named, in chunks
introductions  the name, organization and occupation in a slot
vocatives      names by which one speaker calls another
naming         a name for each speaker: mentions gathered and added up
phrases        the words of all this as data, one table per language
"""

from pipelines.roles.roles import assign_roles

__all__ = ["assign_roles"]
