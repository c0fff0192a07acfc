"""All measures of one method: per scenario, each with its replicates under the scenario's own resamples; and
specificity over all scenarios.

Shape suffixes: N users, R weightings.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from feature_repo.contracts.errors import FoundError
from model.evaluation import calibration, ranking
from model.evaluation.bootstrap import REPLICATES, UNDEFINED, Measured, measured, weightings
from model.evaluation.metrics import discordant
from model.evaluation.ranking import Ranking
from model.evaluation.thresholds import decide, own_size_R, shared_size

K = 100
"""Of precision at k."""

MAIN = "auc"
"""The measure that orders methods, and of which single scenarios are compared; of the others only the mean is."""

MEASURES = {
    MAIN: "AUC",
    "auc_hard": "AUC, hard negatives",
    "ks": "KS",
    "average_precision": "AP",
    f"precision_at_{K}": f"P@{K}",
    "lift_10": "lift, best 10 %",
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "accuracy_own": "accuracy, own size",
    "precision_own": "precision, own size",
    "recall_own": "recall, own size",
    "brier": "Brier",
    "brier_skill": "Brier skill",
    "ece": "ECE",
    "size_ratio": "size ratio",
}
"""The measures of a scenario, and their headings. `auc_hard` exists where labels mark hard negatives, those from
`accuracy_own` on for probabilities only."""

LOWER_IS_BETTER = frozenset({"brier", "ece", "size_ratio"})
"""The size ratio by its distance from 1: see `comparison.size_factor`."""


@dataclass(frozen=True)
class Candidates:
    """The labelled eval users of a scenario and the base rate of its fit split, ordered by user id; of the negatives
    those that the labels mark as hard."""

    scenario: str
    users: tuple[str, ...]
    label_N: "np.ndarray"
    fit_rate: float
    hard: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls, scenario: str, labels: Mapping[str, int], *, fit_rate: float, hard: frozenset[str] = frozenset()
    ) -> "Candidates":
        users = tuple(sorted(labels))
        return cls(scenario, users, np.array([labels[user] for user in users]), fit_rate, hard & labels.keys())

    @property
    def digest(self) -> str:
        """Names these users with these labels: only replicates over the same ones are paired."""
        rows = "\n".join(f"{user}\t{label}" for user, label in zip(self.users, self.label_N.tolist(), strict=True))
        return hashlib.sha256(rows.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class ScenarioMeasures:
    """All that is kept of a method in a scenario; no score of a user is."""

    users: int
    positives: int
    candidates: str
    measures: Mapping[str, Measured]
    lift: Sequence[float]
    calibration: Sequence[Sequence[float]]


def measure(
    candidates: Candidates,
    scores: Mapping[str, float],
    probabilities: Mapping[str, float] | None = None,
    *,
    replicates: int = REPLICATES,
) -> ScenarioMeasures:
    """Every measure of one scenario. Without probabilities their measures are left out.

    Raises FoundError, naming the scenario, for a candidate without score, a NaN, a probability outside of 0 to 1.
    """
    try:
        label_N = candidates.label_N
        weight_RN = weightings(candidates.scenario, label_N, replicates)
        score_N = _ordered(scores, candidates)
        by_score = ranking.rank(label_N, score_N, weight_RN)
        by_probability = None
        if probabilities is not None:
            by_probability = calibration.rank_by_probability(label_N, _ordered(probabilities, candidates), weight_RN)
    except FoundError as error:
        raise FoundError(f"scenario {candidates.scenario!r}: {error}") from error
    values = _of_scores(by_score, candidates.fit_rate)
    if candidates.hard:
        asked_N = (label_N > 0) | np.array([user in candidates.hard for user in candidates.users])
        among_hard = ranking.rank(label_N[asked_N], score_N[asked_N], weight_RN[:, asked_N])
        values["auc_hard"] = ranking.auc_R(among_hard)
    if by_probability:
        values |= _of_probabilities(by_score, by_probability)
    return ScenarioMeasures(
        len(label_N),
        int(label_N.sum()),
        candidates.digest,
        {name: measured(value_R) for name, value_R in values.items()},
        _finite(ranking.lift_RD(by_score.as_it_is)[0]),
        [_finite(line) for line in calibration.calibration_curve(by_probability)] if by_probability else [],
    )


def mean_over(scenarios: Mapping[str, ScenarioMeasures]) -> dict[str, Measured]:
    """Each measure's mean over the scenarios that have it; replicate r is the mean of their replicates r, and a measure
    without replicates in some scenario has no mean."""
    found: dict[str, Measured] = {}
    for name in MEASURES:
        members = [s.measures[name] for s in scenarios.values() if s.measures.get(name, UNDEFINED).value is not None]
        if members and all(len(member.replicate_R) for member in members):
            values = [member.value for member in members if member.value is not None]
            found[name] = Measured(float(np.mean(values)), np.mean([m.replicate_R for m in members], axis=0))
    return found


def measure_specificity(
    groups: Iterable[tuple[Mapping[str, Mapping[str, float]], Mapping[str, Mapping[str, int]]]],
    *,
    replicates: int = REPLICATES,
) -> tuple[Measured, int]:
    """`metrics.specificity` with replicates, over the pairs of each group (scores and labels of the scenarios of one
    cut-off); and the number of pairs. The users of a pair are resampled by the ids of both."""
    found = []
    for scores, labels in groups:
        for name, does_a_N, difference_N in discordant(scores, labels):
            weight_RN = weightings(name, does_a_N, replicates)
            found.append(ranking.auc_R(ranking.rank(does_a_N, difference_N, weight_RN)))
    return (measured(np.mean(found, axis=0)) if found else UNDEFINED), len(found)


def _ordered(values: Mapping[str, float], candidates: Candidates) -> "np.ndarray":
    if missing := [user for user in candidates.users if user not in values]:
        raise FoundError(
            f"{len(missing)} of {len(candidates.users)} candidates have no score, {missing[0]!r} is the first: "
            "score every candidate, also those without history."
        )
    return np.array([values[user] for user in candidates.users], np.float64)


def _of_scores(by_score: Ranking, rate: float) -> dict[str, "np.ndarray"]:
    decision = decide(by_score, shared_size(rate, int(by_score.users_R[0])))
    return {
        MAIN: ranking.auc_R(by_score),
        "ks": ranking.ks_R(by_score),
        "average_precision": ranking.average_precision_R(by_score),
        f"precision_at_{K}": ranking.precision_at_R(by_score, K),
        "lift_10": ranking.lift_RD(by_score)[:, 0],
        "accuracy": decision.accuracy_R,
        "precision": decision.precision_R,
        "recall": decision.recall_R,
    }


def _of_probabilities(by_score: Ranking, by_probability: Ranking) -> dict[str, "np.ndarray"]:
    decision = decide(by_score, own_size_R(by_probability))
    return {
        "accuracy_own": decision.accuracy_R,
        "precision_own": decision.precision_R,
        "recall_own": decision.recall_R,
        "brier": calibration.brier_R(by_probability),
        "brier_skill": calibration.brier_skill_R(by_probability),
        "ece": calibration.ece_R(by_probability),
        "size_ratio": calibration.size_ratio_R(by_probability),
    }


def _finite(values: "np.ndarray") -> list[float]:
    return [round(float(value), 5) for value in values if np.isfinite(value)]
