"""Fits the weights of `pipelines.attribution.changes` on made-up interviews, and prints them as they stand.

    python -m tests.benchmarks.changes

Logistic regression by Newton's method, with a ridge; a feature that never occurs keeps the weight it has. The
interviews are those of seeds 1000 to 1099, the held-out ones 1100 to 1119. No reported figure uses either.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor

import numpy as np
import numpy.typing as npt

from pipelines.attribution.changes import WEIGHTS, Feature, features
from pipelines.types import Match
from tests.benchmarks.aligner import bring_together
from tests.benchmarks.generator import generate

Floats = npt.NDArray[np.float64]

FITTED = range(1000, 1100)
HELD_OUT = range(1100, 1120)
DAMAGES = (0.1, 0.2, 0.2, 0.3)
RIDGE = 1.0
STEPS = 30
PROCESSES = 2


def observe(seed: int) -> tuple[Floats, Floats]:
    """What is seen in front of every spoken token but the first, and 1 where the speaker changes there.

    Shapes (n, len(Feature)) and (n,). The interview has 3 to 6 speakers.
    """
    interview = generate(seed, damage=DAMAGES[seed % len(DAMAGES)], speakers=3 + seed % 4)
    tokens = bring_together(interview)
    spoken = [index for index, token in enumerate(tokens) if token.match is not Match.NOT_SPOKEN]
    changed = np.isin(spoken[1:], interview.changes).astype(np.float64)
    return features(tokens, spoken, interview.diarization.exclusive)[1:], changed


def fit(seen: Floats, changed: Floats, ridge: float = RIDGE) -> Floats:
    """The weights, shape (k,), that make `changed`, shape (n,), most probable given `seen`, shape (n, k)."""
    weights = np.zeros(seen.shape[1])
    for _ in range(STEPS):
        probability = _probability(seen, weights)
        slope = seen.T @ (changed - probability) - ridge * weights
        curvature = (seen.T * (probability * (1 - probability))) @ seen + ridge * np.eye(len(weights))
        weights += np.linalg.solve(curvature, slope)
    return weights


def log_loss(seen: Floats, changed: Floats, weights: Floats) -> float:
    """Mean negative log likelihood, in nats per place."""
    odds = seen @ weights
    return float(np.mean(np.logaddexp(0.0, odds) - changed * odds))


def _probability(seen: Floats, weights: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-seen @ weights)))


def main() -> None:
    with ProcessPoolExecutor(PROCESSES) as pool:
        seen, changed = _observe_all(pool, FITTED)
        held_out = _observe_all(pool, HELD_OUT)
    weights = fit(seen, changed)
    print("\n".join(_as_written(weights, seen)))
    print(f"{len(changed)} places, {int(changed.sum())} changes of speaker")
    print(f"log loss: {log_loss(seen, changed, weights):.5f}, held out {log_loss(*held_out, weights):.5f}")


def _observe_all(pool: Executor, seeds: Iterable[int]) -> tuple[Floats, Floats]:
    seen, changed = zip(*pool.map(observe, seeds), strict=True)
    return np.concatenate(seen), np.concatenate(changed)


def _as_written(weights: Floats, seen: Floats) -> Iterator[str]:
    yield "WEIGHTS = {"
    for column, feature in enumerate(Feature):
        occurs = bool(seen[:, column].any())
        weight = weights[column] if occurs else WEIGHTS[feature]
        yield f"    Feature.{feature.name}: {weight:.1f}," + (
            "" if occurs else "  # by hand: the interviews have none"
        )
    yield "}"


if __name__ == "__main__":
    main()
