"""Where text and recording disagree, and the corrected reading.

reconciliation  the findings
correction      the corrections, and the text with them made
glossary        the user's words that stand in the text in another spelling
"""

from pipelines.reconciliation.correction import correct, read
from pipelines.reconciliation.reconciliation import find

__all__ = ["correct", "find", "read"]
