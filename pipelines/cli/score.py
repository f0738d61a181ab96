"""`turnwise score`: how much a result differs from a reference."""

from __future__ import annotations

from argparse import Namespace

from pipelines import scoring
from pipelines.cli import show
from pipelines.files import read_text
from pipelines.formats import result
from pipelines.scoring import references


def score(request: Namespace) -> int:
    """Prints every measure that the reference allows."""
    transcript = result.parse(read_text(request.result, "result"))
    truth = references.load_truth(request.supplied_truth) if request.supplied_truth else ()
    scores = scoring.score(transcript, references.load(request.reference), truth)
    show.show_scores(scores)
    return 0
