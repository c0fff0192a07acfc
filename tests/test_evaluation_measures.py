"""Every measure of the evaluation against a loop written from its definition, and against scikit-learn's."""

import math
from itertools import permutations

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    precision_score,
    recall_score,
    roc_auc_score,
    roc_curve,
)

from feature_repo.contracts.errors import FoundError
from model.evaluation import calibration, ranking, thresholds
from model.evaluation.metrics import auc
from model.evaluation.ranking import rank, spearman

TIES = [2, 5, 10_000]


def some(seed: int, distinct: int = 10_000, users: int = 157) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and scores that are worth something; few distinct ones tie."""
    rng = np.random.default_rng(seed)
    label = (rng.random(users) < 0.3).astype(int)
    return label, rng.integers(0, distinct, users) / distinct + 0.2 * label


def probabilities(seed: int, distinct: int = 10_000, users: int = 157) -> tuple[np.ndarray, np.ndarray]:
    label, score = some(seed, distinct, users)
    return label, score / 1.3


def orders(label: np.ndarray, score: np.ndarray, rounds: int = 4_000) -> np.ndarray:
    """Labels from best to worst, once per random order of the ties."""
    rng = np.random.default_rng(0)
    draws = [np.lexsort((rng.random(len(score)), -score)) for _ in range(rounds)]
    return label[np.stack(draws)]


# a ranking


@pytest.mark.parametrize("distinct", TIES)
def test_auc_equals_a_loop_over_pairs(distinct):
    label, score = some(1, distinct)
    wins = [1.0 if p > n else 0.5 if p == n else 0.0 for p in score[label == 1] for n in score[label == 0]]

    assert auc(label, score) == pytest.approx(np.mean(wins), abs=1e-12)
    assert auc(label, score) == pytest.approx(roc_auc_score(label, score), abs=1e-12)


@pytest.mark.parametrize("distinct", TIES)
def test_ks_equals_a_loop_over_thresholds(distinct):
    label, score = some(2, distinct)
    apart = [abs(np.mean(score[label == 1] >= t) - np.mean(score[label == 0] >= t)) for t in score]
    false, true, _ = roc_curve(label, score)

    assert ranking.ks_R(rank(label, score))[0] == pytest.approx(max(apart), abs=1e-12)
    assert ranking.ks_R(rank(label, score))[0] == pytest.approx(np.abs(true - false).max(), abs=1e-12)


def test_ks_of_a_reversed_ranking_is_the_same():
    label, score = some(2)

    assert ranking.ks_R(rank(label, -score))[0] == pytest.approx(ranking.ks_R(rank(label, score))[0], abs=1e-12)


@pytest.mark.parametrize("distinct", TIES)
def test_average_precision_equals_a_loop_over_thresholds(distinct):
    label, score = some(3, distinct)
    total, before = 0.0, 0.0
    for threshold in sorted(set(score), reverse=True):
        recall = label[score >= threshold].sum() / label.sum()
        total += (recall - before) * label[score >= threshold].mean()
        before = recall

    found = ranking.average_precision_R(rank(label, score))[0]

    assert found == pytest.approx(total, abs=1e-12)
    assert found == pytest.approx(average_precision_score(label, score), abs=1e-12)


def test_precision_at_k_is_the_mean_over_every_order_of_the_ties():
    label, score = np.array([1, 0, 1, 1, 0, 0]), np.array([3.0, 2.0, 2.0, 2.0, 2.0, 1.0])
    for k in range(1, 7):
        every = [
            label[[0, *middle, 5]][:k].mean() for middle in permutations([1, 2, 3, 4])
        ]  # the four that tie, in all orders

        assert ranking.precision_at_R(rank(label, score), k)[0] == pytest.approx(np.mean(every), abs=1e-12)


def test_precision_at_more_than_all_users_is_the_base_rate():
    label, score = some(4, users=30)

    assert ranking.precision_at_R(rank(label, score), 100)[0] == pytest.approx(label.mean(), abs=1e-12)


@pytest.mark.parametrize("distinct", TIES)
def test_lift_by_decile_equals_random_orders_of_the_ties(distinct):
    label, score = some(5, distinct, users=150)
    tenths = orders(label, score).reshape(-1, 10, 15).mean(axis=(0, 2)) / label.mean()

    found = ranking.lift_RD(rank(label, score))[0]

    np.testing.assert_allclose(found, tenths, atol=1e-9 if distinct > 150 else 0.04)
    assert found.mean() == pytest.approx(1, abs=1e-12)


def test_a_user_on_the_border_of_deciles_counts_in_both():
    label, score = np.array([1, 0, 0, 0, 0, 0, 0]), np.arange(7.0)[::-1]

    np.testing.assert_allclose(ranking.lift_RD(rank(label, score))[0], [7, 3, *[0] * 8], atol=1e-12)


@pytest.mark.parametrize("distinct", TIES)
def test_spearman_equals_the_correlation_of_mean_ranks(distinct):
    (_, one), (_, other) = some(6, distinct), some(7, distinct)

    def ranks(scores: np.ndarray) -> list[float]:
        return [np.mean(np.flatnonzero(np.sort(scores) == s)) for s in scores]

    assert spearman(one, other) == pytest.approx(np.corrcoef(ranks(one), ranks(other))[0, 1], abs=1e-12)
    assert spearman(one, np.exp(one)) == pytest.approx(1)
    assert spearman(one, -one) == pytest.approx(-1)


def test_agreement_is_the_mean_over_pairs_of_paraphrases():
    one, other = some(6)[1], some(7)[1]

    assert ranking.agreement(np.stack([one, one, other])) == pytest.approx((1 + 2 * spearman(one, other)) / 3)
    assert math.isnan(ranking.agreement(one[None]))


def test_a_constant_ranking_agrees_with_none():
    assert math.isnan(spearman(np.ones(4), np.arange(4.0)))


def test_rankings_of_other_users_do_not_compare():
    with pytest.raises(FoundError, match="two rankings of the same users were expected; found 3 and 4 scores"):
        spearman(np.ones(3), np.ones(4))


@pytest.mark.parametrize("name", ["auc_R", "ks_R", "average_precision_R", "lift_RD"])
def test_no_measure_depends_on_the_order_of_users(name):
    label, score = some(8, 6)
    mixed = np.random.default_rng(1).permutation(len(label))
    of = getattr(ranking, name)

    np.testing.assert_allclose(of(rank(label[mixed], score[mixed])), of(rank(label, score)), atol=1e-12)


def test_equal_scores_are_worth_chance():
    label, _ = some(9)
    flat = rank(label, np.zeros(len(label)))

    assert ranking.auc_R(flat)[0] == 0.5
    assert ranking.ks_R(flat)[0] == 0
    assert ranking.average_precision_R(flat)[0] == pytest.approx(label.mean())
    np.testing.assert_allclose(ranking.lift_RD(flat)[0], 1)


@pytest.mark.parametrize("kind", [0, 1])
def test_with_one_kind_of_user_what_compares_kinds_is_unknown(kind):
    given = rank(np.full(5, kind), np.arange(5.0))

    assert np.isnan(ranking.auc_R(given)[0]) and np.isnan(ranking.ks_R(given)[0])
    assert ranking.precision_at_R(given, 2)[0] == kind
    assert np.isnan(ranking.average_precision_R(given)[0]) == (kind == 0)
    assert np.isnan(ranking.lift_RD(given)[0]).all() == (kind == 0)


def test_infinite_scores_have_a_rank():
    assert auc(np.array([1, 0, 1, 0]), np.array([np.inf, np.inf, 0, -np.inf])) == pytest.approx(0.625)


def test_a_nan_score_is_refused_by_its_row():
    with pytest.raises(FoundError, match=r"scores must be numbers; 2 of 3 are NaN, the first in row 1\. Give users"):
        rank(np.array([1, 0, 1]), np.array([1, np.nan, np.nan]))


def test_labels_and_scores_of_other_lengths_and_none_at_all_are_refused():
    with pytest.raises(FoundError, match=r"found 2 labels and scores of shape \(3,\)\. Score every candidate"):
        rank(np.array([1, 0]), np.zeros(3))
    with pytest.raises(FoundError, match=r"at least one user; found 0 labels"):
        rank(np.zeros(0), np.zeros(0))


def test_labels_beside_0_and_1_are_refused():
    with pytest.raises(FoundError, match=r"labels are 0 or 1; found \[-1\.0, 2\.0\]"):
        rank(np.array([1, 2, -1]), np.zeros(3))


# probabilities


@pytest.mark.parametrize("distinct", TIES)
def test_brier_and_its_skill_equal_their_definitions(distinct):
    label, p = probabilities(1, distinct)
    given = calibration.rank_by_probability(label, p)
    base = np.full(len(label), label.mean())

    assert calibration.brier_R(given)[0] == pytest.approx(brier_score_loss(label, p), abs=1e-12)
    skill = 1 - brier_score_loss(label, p) / brier_score_loss(label, base)
    assert calibration.brier_skill_R(given)[0] == pytest.approx(skill, abs=1e-12)


def test_the_base_rate_itself_has_no_skill_and_no_error():
    label, _ = probabilities(2)
    given = calibration.rank_by_probability(label, np.full(len(label), label.mean()))

    assert calibration.brier_skill_R(given)[0] == pytest.approx(0, abs=1e-12)
    assert calibration.ece_R(given)[0] == pytest.approx(0, abs=1e-12)
    assert calibration.size_ratio_R(given)[0] == pytest.approx(1)


def test_ece_equals_a_loop_over_fifteen_bins():
    label, p = probabilities(3, 10**9, users=150)
    order = np.argsort(p)
    bins = order.reshape(15, 10)
    expected = sum(abs(p[rows].mean() - label[rows].mean()) for rows in bins) / 15

    given = calibration.rank_by_probability(label, p)
    predicted, observed = calibration.calibration_curve(given)

    assert calibration.ece_R(given)[0] == pytest.approx(expected, abs=1e-12)
    np.testing.assert_allclose(predicted, p[bins].mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(observed, label[bins].mean(axis=1), atol=1e-12)


def test_ece_is_the_same_when_every_user_is_there_fifteen_times():
    label, p = probabilities(4, users=7)
    of = [calibration.ece_R(calibration.rank_by_probability(*(np.repeat(v, n) for v in (label, p)))) for n in (1, 15)]

    assert of[0][0] == pytest.approx(of[1][0], abs=1e-12)


def test_ece_of_one_probability_for_all_is_its_distance_from_the_base_rate():
    label, _ = probabilities(5)
    given = calibration.rank_by_probability(label, np.full(len(label), 0.9))

    assert calibration.ece_R(given)[0] == pytest.approx(0.9 - label.mean(), abs=1e-12)


@pytest.mark.parametrize("kind", [0, 1])
def test_with_one_kind_of_user_there_is_no_skill_to_speak_of(kind):
    given = calibration.rank_by_probability(np.full(4, kind), np.full(4, 0.25))

    assert np.isnan(calibration.brier_skill_R(given)[0])
    assert calibration.ece_R(given)[0] == pytest.approx(abs(kind - 0.25))
    assert np.isnan(calibration.size_ratio_R(given)[0]) == (kind == 0)


def test_what_is_no_probability_is_refused():
    with pytest.raises(FoundError, match=r"probabilities lie between 0 and 1; found -0\.5 to 3\. Hand over"):
        calibration.rank_by_probability(np.array([1, 0]), np.array([-0.5, 3]))
    with pytest.raises(FoundError, match=r"probabilities lie between 0 and 1; found 0\.5 to 1\.5\. Hand over"):
        calibration.rank_by_probability(np.array([1, 0]), np.array([0.5, 1.5]))
    with pytest.raises(FoundError, match=r"probabilities must be numbers; 1 of 2 are NaN, the first in row 0"):
        calibration.rank_by_probability(np.array([1, 0]), np.array([np.nan, 0.1]))


# the audience


def test_accuracy_precision_and_recall_are_scikit_learns_of_that_audience():
    label, score = some(1)
    size = thresholds.shared_size(0.25, len(label))
    chosen = np.isin(np.arange(len(score)), np.argsort(-score)[: int(size)])

    found = thresholds.decide(rank(label, score), size)

    assert size == 39
    assert found.accuracy_R[0] == pytest.approx(accuracy_score(label, chosen))
    assert found.precision_R[0] == pytest.approx(precision_score(label, chosen))
    assert found.recall_R[0] == pytest.approx(recall_score(label, chosen))


def test_a_set_as_answer_is_filled_up_or_drawn_from_at_random():
    label, score = some(2, 2)
    best = orders(label, np.sign(score - 0.4))

    for size in (10, 100):
        found = thresholds.decide(rank(label, np.sign(score - 0.4)), size)
        assert found.precision_R[0] == pytest.approx(best[:, :size].mean(), abs=0.01)


def test_the_size_is_the_fit_splits_base_rate_and_at_least_one_user():
    assert thresholds.fit_rate(np.array([1, 0, 0, 0])) == 0.25
    assert thresholds.shared_size(0.25, 1_000) == 250
    assert thresholds.shared_size(0.0, 1_000) == 1


def test_a_method_s_own_size_is_what_its_probabilities_add_up_to():
    label, p = probabilities(3)

    assert thresholds.own_size_R(calibration.rank_by_probability(label, p))[0] == round(p.sum())
    assert thresholds.own_size_R(calibration.rank_by_probability(label, p * 0))[0] == 1


def test_for_probabilities_that_hold_both_sizes_are_one():
    rng = np.random.default_rng(0)
    p = rng.beta(1, 6, 20_000)
    label = (rng.random(len(p)) < p).astype(int)
    fit, rest = slice(0, 4_000), slice(4_000, None)
    own = thresholds.own_size_R(calibration.rank_by_probability(label[rest], p[rest]))[0]

    assert own == pytest.approx(thresholds.shared_size(thresholds.fit_rate(label[fit]), 16_000), rel=0.1)


def test_without_fit_users_there_is_no_size():
    with pytest.raises(FoundError, match=r"the base rate of the fit split, which has no user in this scenario: label"):
        thresholds.fit_rate(np.zeros(0))


def test_violations_are_the_share_of_the_audience_that_breaks_the_condition():
    violates, score = np.array([1, 0, 0, 1, 0]), np.array([5.0, 4, 3, 3, 1])

    assert thresholds.violation_share(violates, score, 2) == pytest.approx(1 / 2)
    assert thresholds.violation_share(violates, score, 3) == pytest.approx(1.5 / 3)
