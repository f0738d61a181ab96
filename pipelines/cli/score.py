"""`turnwise score`: how far a result is from a reference."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from pipelines import scoring
from pipelines.cli import show
from pipelines.errors import TextError
from pipelines.formats import result
from pipelines.scoring import references
from pipelines.types import Transcript


def score(request: Namespace) -> int:
    """Prints every measure that the reference allows."""
    transcript = load_result(request.result)
    truth = references.load_truth(request.supplied_truth) if request.supplied_truth else ()
    scores = scoring.score(transcript, references.load(request.reference), truth)
    show.show_scores(scores)
    return 0


def load_result(path: Path) -> Transcript:
    """What `turnwise run` wrote. Raises TextError for any other file."""
    try:
        return result.parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise TextError(f"The result {path} cannot be read ({error.strerror}): check its name.") from None
    except UnicodeDecodeError:
        raise TextError(f"{path} is no result of turnwise run: name its result.json.") from None
