"""Where text and recording disagree, and the corrected reading.

reconciliation  the findings
correction      the corrections, and the text with them applied
glossary        glossary words that the text spells differently
"""

from pipelines.reconciliation.correction import correct, read, uncorrected
from pipelines.reconciliation.reconciliation import find

__all__ = ["correct", "find", "read", "uncorrected"]
