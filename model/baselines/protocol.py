"""What a baseline is: fitted on the same pairs with the same frozen text vectors, then asked about the same candidates.

A method is one function, `fit(training) -> ranker`. Rankers see users as of a cut-off (the columns of
feature_repo/contracts/inputs.py without the future) and one-sentence demands; those that need labels see seeds as well.
Users without any history are scored like all others, and every score is finite. The same seed gives the same scores.

Shape suffixes: B users, C demands, S seeds, D width of a user's vector.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from feature_repo.contracts.errors import FoundError
from model.baselines.training import Effort, Training
from model.data import Columns

Scores = NDArray[np.float64]

RANKING: Final = "a ranking"
LOG_ODDS: Final = "log odds"


@dataclass(frozen=True)
class Seeds:
    """Labelled users of one demand: rows among the candidates, int [S], and whether it happens to them, 0 or 1."""

    rows: "np.ndarray"
    labels: "np.ndarray"

    def __post_init__(self) -> None:
        kinds = set(np.unique(self.labels).tolist())
        if len(self.rows) != len(self.labels) or kinds != {0, 1}:
            raise FoundError(
                f"seeds are rows with a label 0 or 1 each, both kinds present; found {len(self.rows)} rows, "
                f"{len(self.labels)} labels of the kinds {sorted(kinds)}: give positives and negatives."
            )


@runtime_checkable
class Ranker(Protocol):
    """Answers demands alone."""

    def scores(self, users: Columns, demands: Sequence[str]) -> Scores:
        """[B, C]: higher is more likely."""
        ...


@runtime_checkable
class SeedRanker(Protocol):
    """Answers a demand with the help of labelled users."""

    def seed_scores(self, users: Columns, demand: str, seeds: Seeds) -> Scores:
        """[B]: higher is more likely."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """Gives users vectors, for linear probes and pictures."""

    def vectors(self, users: Columns) -> "np.ndarray":
        """float32 [B, D]"""
        ...


@dataclass(frozen=True)
class Method:
    """A row of the table. `known_property` is what the source claims and a run must show to count as reproduced;
    `learns` tells whether there are weights whose random twin it must beat."""

    name: str
    title: str
    source: str
    known_property: str
    fit: Callable[[Training], Ranker | SeedRanker]
    gives: Literal["a ranking", "log odds"] = RANKING
    needs_seeds: bool = False
    learns: bool = True

    def twin(self, training: Training) -> Ranker | SeedRanker:
        """The method with every weight as it was drawn: what its training must beat."""
        return self.fit(replace(training, effort=Effort(pretraining=0.0, alignment=0.0)))

    def unpretrained(self, training: Training) -> Ranker | SeedRanker:
        """The method with a random user encoder behind a fully trained head: what its pre-training adds shows here."""
        return self.fit(replace(training, effort=replace(training.effort, pretraining=0.0)))


def answers(ranker: Ranker | SeedRanker, users: Columns, demands: Sequence[str], seeds: Sequence[Seeds] = ()) -> Scores:
    """float64 [B, C] from either kind of ranker. Raises FoundError where one needs seeds and a demand has none."""
    if isinstance(ranker, Ranker):
        return ranker.scores(users, demands)
    if len(seeds) != len(demands):
        raise FoundError(
            f"this method learns from labelled users: expected seeds for each of {len(demands)} demands, found "
            f"{len(seeds)}. Give those of the fit split."
        )
    asked = zip(demands, seeds, strict=True)
    return np.stack([ranker.seed_scores(users, demand, given) for demand, given in asked], axis=1)
