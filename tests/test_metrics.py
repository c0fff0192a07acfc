"""AUC and specificity against independent implementations."""

import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from model.evaluation.metrics import MIN_SIDE, auc, specificity


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("distinct", [2, 7, 10_000])
def test_auc_equals_sklearns_also_with_ties(seed, distinct):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, 300)
    score = rng.integers(0, distinct, 300) + 0.3 * label

    assert auc(label, score) == pytest.approx(roc_auc_score(label, score), abs=1e-12)


def test_auc_of_a_constant_score_is_one_half_and_of_one_kind_of_user_unknown():
    assert auc(np.array([1, 0, 1]), np.zeros(3)) == 0.5
    assert auc(np.array([1, 0]), np.array([2.0, 1.0])) == 1.0
    assert math.isnan(auc(np.ones(3, int), np.arange(3.0)))
    assert math.isnan(auc(np.zeros(3, int), np.arange(3.0)))


def tables(seed: int, *, users: int = 300) -> tuple[dict, dict]:
    """Scores and labels of three scenarios; each knows all users but a few of its own."""
    rng = np.random.default_rng(seed)
    names = [f"u{i}" for i in range(users)]
    labels = {s: {u: int(rng.random() < 0.4) for u in names if rng.random() < 0.9} for s in "abc"}
    scores = {s: {u: float(rng.integers(0, 9) + 2 * y) for u, y in labels[s].items()} for s in labels}
    return scores, labels


def direct_specificity(scores: dict, labels: dict) -> tuple[float, int]:
    """DESIGN's sentence, word by word: over pairs of scenarios, users who do a and not b against b and not a."""
    values = []
    for place, a in enumerate(scores):
        for b in list(scores)[place + 1 :]:
            both = set(labels[a]) & set(labels[b])
            only_a = [u for u in both if labels[a][u] == 1 and labels[b][u] == 0]
            only_b = [u for u in both if labels[b][u] == 1 and labels[a][u] == 0]
            if len(only_a) < 20 or len(only_b) < 20:
                continue
            wins = 0.0
            for one in only_a:
                for other in only_b:
                    left, right = scores[a][one] - scores[b][one], scores[a][other] - scores[b][other]
                    wins += 1.0 if left > right else 0.5 if left == right else 0.0
            values.append(wins / (len(only_a) * len(only_b)))
    return (sum(values) / len(values) if values else math.nan), len(values)


@pytest.mark.parametrize("seed", range(3))
def test_specificity_equals_its_definition(seed):
    scores, labels = tables(seed)

    value, pairs = specificity(scores, labels)

    expected, count = direct_specificity(scores, labels)
    assert (value, pairs) == (pytest.approx(expected, abs=1e-12), count)
    assert pairs == 3


def test_a_ranking_that_ignores_the_sentence_has_specificity_one_half():
    _, labels = tables(0)
    busy = {f"u{i}": float(np.random.default_rng(i).random()) for i in range(300)}

    assert specificity({s: busy for s in labels}, labels)[0] == 0.5


def test_a_ranking_that_is_right_has_specificity_one():
    _, labels = tables(0)

    assert specificity({s: {u: float(y) for u, y in rows.items()} for s, rows in labels.items()}, labels)[0] == 1.0


def test_a_pair_with_too_few_users_on_a_side_does_not_count():
    def labels(side: int) -> dict:
        a = {f"u{i}": int(i < side) for i in range(100)}
        return {"a": a, "b": {u: 1 - y if int(u[1:]) < side or int(u[1:]) > 50 else 0 for u, y in a.items()}}

    few, enough = labels(MIN_SIDE - 1), labels(MIN_SIDE)

    assert specificity(enough, enough) == (1.0, 1)
    value, pairs = specificity(few, few)
    assert math.isnan(value) and pairs == 0
