"""Seeds correct a sentence: little where they are few, and towards what they share."""

import numpy as np
import pytest

from feature_repo.contracts.errors import FoundError
from model.evaluation.metrics import auc
from model.seeds import SCALES, Population, _averaged, _posterior, corrected
from model.vectors import Demand

WIDTH, USERS = 12, 400
RNG = np.random.default_rng(7)
VECTORS = np.column_stack([RNG.normal(size=(USERS, 1 + WIDTH)), np.ones(USERS)]).astype(np.float32)
DEMAND = Demand(np.array([1.0, *np.zeros(WIDTH), -3.0], np.float32), np.zeros(4, np.float32), 0.5)
HIDDEN = VECTORS[:, 3]
"""What the sentence does not know: users do it who are high in one coordinate, and not those who are active."""


def scores(demand, vectors=VECTORS):
    return vectors.astype(np.float64) @ demand.vector.astype(np.float64)


POPULATION = Population(VECTORS, scores(DEMAND))


def seeds(count, truth=HIDDEN):
    """The rows of `count` seeds a side and which are positive."""
    order = np.argsort(truth)
    rows = np.concatenate([order[-count:], order[:count]])
    return rows, np.arange(2 * count) < count


def corrected_by(rows, is_positive):
    return corrected(DEMAND, VECTORS[rows], scores(DEMAND)[rows], is_positive, POPULATION)


def test_more_seeds_move_the_answer_further_towards_what_they_share():
    happens = (HIDDEN > 0.5).astype(int)
    found = [auc(happens, scores(corrected_by(*seeds(count)))) for count in (1, 5, 20, 80)]
    assert auc(happens, scores(DEMAND)) < 0.6
    assert found == sorted(found) and found[0] < 0.9 and found[-1] > 0.95


def test_seeds_that_the_sentence_already_tells_apart_leave_its_order():
    demand = corrected_by(*seeds(5, truth=scores(DEMAND)))
    assert np.corrcoef(scores(demand), scores(DEMAND))[0, 1] > 0.98


def test_the_mean_score_of_the_population_stays():
    demand = corrected_by(*seeds(20))
    assert scores(demand).mean() == pytest.approx(scores(DEMAND).mean(), abs=1e-4)


def test_late_interaction_is_weighed_as_the_sentence_is():
    demand = corrected_by(*seeds(20))
    assert demand.late_weight != 1.0 and demand.late_bias == pytest.approx(0.5 * demand.late_weight)
    np.testing.assert_array_equal(demand.late, DEMAND.late)


def test_the_order_of_seeds_changes_nothing():
    rows, is_positive = seeds(10)
    order = RNG.permutation(len(rows))
    one, other = corrected_by(rows, is_positive), corrected_by(rows[order], is_positive[order])
    np.testing.assert_allclose(one.vector, other.vector, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", SCALES)
def test_the_posterior_is_the_minimum_of_the_penalised_loss(scale):
    rows, is_positive = seeds(15)
    feature = np.column_stack([scores(DEMAND)[rows], VECTORS[rows, 1:4]])
    prior, deviation = np.array([1.0, 0.0, 0.0, 0.0]), scale * np.array([0.3, 0.5, 1.0, 1.0])

    weights, _ = _posterior(feature, is_positive.astype(float), prior, deviation)

    def loss(given):
        """Minimised over the intercept by a fine grid."""
        logit = (feature - feature.mean(0)) @ given
        penalty = 0.5 * np.square((given - prior) / deviation).sum()
        shifts = np.linspace(-3, 3, 6001)
        cost = np.logaddexp(0, np.where(is_positive, -1, 1)[:, None] * (logit[:, None] + shifts)).sum(0)
        return float((cost + 0.5 * np.square(shifts / 10)).min() + penalty)

    least = loss(weights)
    for column in range(4):
        for step in (-0.02, 0.02):
            moved = weights.copy()
            moved[column] += step
            assert loss(moved) > least


def test_without_information_the_prior_is_the_answer():
    """Equal seeds on both sides: every scale says the prior."""
    feature = np.repeat(RNG.normal(size=(10, 3)), 2, axis=0)
    weights = _averaged(feature, np.tile([1.0, 0.0], 10), spread=2.0)
    np.testing.assert_allclose(weights[1:], 0.0, atol=0.02)
    assert weights[0] == pytest.approx(2.0, abs=0.1)


def test_coordinates_have_a_spread_of_one_over_the_population():
    mapped = VECTORS.astype(np.float64) @ POPULATION.coordinates_MD()
    np.testing.assert_allclose(mapped[:, 0].std(), 1.0, rtol=1e-6)
    np.testing.assert_allclose(np.square(mapped[:, 1:].std(0)).sum(), 1.0, rtol=1e-6)


def test_a_population_that_is_all_alike_adds_no_coordinates():
    same = Population(np.repeat(VECTORS[:1], 5, axis=0), np.zeros(5))
    assert same.coordinates_MD().shape == (WIDTH + 2, 1)
    rows, is_positive = seeds(3)
    assert np.isfinite(corrected(DEMAND, VECTORS[rows], scores(DEMAND)[rows], is_positive, same).vector).all()


@pytest.mark.parametrize(("positives", "negatives"), [(0, 3), (3, 0)])
def test_seeds_are_needed_on_both_sides(positives, negatives):
    is_positive = np.arange(3) < positives
    with pytest.raises(FoundError) as refused:
        corrected(DEMAND, VECTORS[:3], scores(DEMAND)[:3], is_positive, POPULATION)
    assert str(refused.value) == (
        f"seeds are needed on both sides, found {positives} positives and {negatives} negatives."
    )
