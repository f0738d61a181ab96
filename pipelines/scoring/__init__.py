"""How far a result is from a reference.

scoring     every measure that the reference allows, and a table of them
measures    the field's measures on plain values
references  references read from RTTM, STM or a list of turns
"""

from pipelines.scoring import references
from pipelines.scoring.scoring import Scores, score

__all__ = ["Scores", "references", "score"]
