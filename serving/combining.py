"""One probability of several sentences.

A sentence's probability is that of one user with this history, and given the history the sentences are taken as
independent: "and" multiplies, "or" is 1 minus the product of what fails (noisy-or), a negation is 1 minus. So the parts
and the whole stay probabilities, "not (a or b)" is "not a and not b", and where all are small "and" ranks as the sum of
log odds.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from model.rewriting.document import OR
from serving.question import Asked

_SMALLEST = 1e-12


def answered(
    probabilities: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    asked: Sequence[Asked],
    scores: Sequence[NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Users' log odds and probabilities of what was asked, from their log odds of each sentence; those of a single
    sentence stay exactly what they are."""
    each = [probabilities(part) for part in scores]
    if len(asked) == 1 and not asked[0].negated:
        return scores[0], each[0]
    whole = combined(asked, each)
    return log_odds(whole), whole


def combined(asked: Sequence[Asked], probabilities: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Users' probabilities of all groups of sentences; of those joined by "or" one is enough."""
    whole = np.ones_like(probabilities[0])
    fails = np.ones_like(whole)
    for place, (sentence, happens) in enumerate(zip(asked, probabilities, strict=True)):
        if place and sentence.joined != OR:
            whole, fails = whole * (1 - fails), np.ones_like(fails)
        fails = fails * (happens if sentence.negated else 1 - happens)
    return np.asarray(whole * (1 - fails))


def log_odds(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = np.clip(probabilities, _SMALLEST, 1 - _SMALLEST)
    return np.asarray(np.log(clipped) - np.log1p(-clipped))
