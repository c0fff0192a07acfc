"""One probability of several sentences.

A sentence's probability is that of one user with this history, and given the history the sentences are taken as
independent: "and" multiplies, "or" is 1 minus the product of what fails (noisy-or), a negation is 1 minus. So the parts
and the whole stay probabilities, "not (a or b)" is "not a and not b", and where all are small "and" ranks as the sum of
log odds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.rewriting.document import AND, OR
from model.scores import Asked

_SMALLEST = 1e-12


@dataclass(frozen=True)
class Sentence:
    """A sentence that the model reads. `negated`: users to whom it does not happen; `joined` to the one before it by
    "and", or by "or": of those joined by "or" one is enough."""

    text: str
    negated: bool = False
    joined: str = AND


@dataclass(frozen=True)
class Whole:
    """What several sentences ask of stored users as one; stands in for what a single one does (model.scores.Asked)."""

    sentences: tuple[Sentence, ...]
    parts: tuple[Asked, ...]

    @property
    def vector_M(self) -> NDArray[np.float32]:
        """As wide as those of the users."""
        return self.parts[0].vector_M

    def scores(
        self, vector_BM: "np.ndarray", key_N: "np.ndarray", weight_N: "np.ndarray", length_B: "np.ndarray"
    ) -> NDArray[np.float64]:
        """float64 [B]: the log odds of the whole."""
        each = [part.scores(vector_BM, key_N, weight_N, length_B) for part in self.parts]
        return answered(probabilities, self.sentences, each)[0]


def probabilities(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """As `FoundModel.probabilities`, without the model."""
    return np.asarray(1 / (1 + np.exp(-np.asarray(scores, np.float64))))


def answered(
    probabilities: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    asked: Sequence[Sentence],
    scores: Sequence[NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Users' log odds and probabilities of what was asked, from their log odds of each sentence; those of a single
    sentence stay exactly what they are."""
    each = [probabilities(part) for part in scores]
    if len(asked) == 1 and not asked[0].negated:
        return scores[0], each[0]
    whole = combined(asked, each)
    return log_odds(whole), whole


def combined(asked: Sequence[Sentence], probabilities: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
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
