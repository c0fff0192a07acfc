"""Estimates of who scores highest: the exact scores where all texts are followed, near to them where few are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.placed import Histories, Placed
from model.postings import FEWEST, NEAREST, Postings


def people(users, texts, seed):
    """Histories of at least one text each, and a demand to which few texts are near."""
    rng = np.random.default_rng(seed)
    own = [np.unique(rng.integers(0, texts, rng.integers(1, 12))) for _ in range(users)]
    histories = Histories.of([(keys, rng.random(len(keys)).astype(np.float32)) for keys in own])
    near_V = np.exp(15 * (rng.normal(0.05, 0.15, len(histories.key_V)).clip(-1, 1) - 1))
    floors = np.exp([-5.0, -13.0])
    asked = Placed(np.zeros(2), histories.key_V, near_V, np.array([0.3, 0.2]), floors, 0.8, -1.5)
    return histories, asked, rng.normal(size=users) / 4


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 60), st.integers(1, FEWEST), st.integers(0, 10_000))
def test_where_all_texts_are_followed_the_estimates_are_the_scores(users, texts, seed):
    histories, asked, product_B = people(users, texts, seed)
    np.testing.assert_allclose(
        Postings(histories).estimated(asked, product_B), histories.scores(asked, product_B), rtol=1e-6, atol=1e-6
    )


def test_what_is_left_over_counts_as_much_as_it_does_on_average():
    histories, asked, product_B = people(50, 2_000, 1)
    followed = np.argsort(-asked.near_V)[: max(FEWEST, int(NEAREST * len(asked.near_V)))]
    rest = np.setdiff1d(np.arange(len(asked.near_V)), followed)
    weight_N, place_N = histories.weight_N.astype(float), histories.place_N
    in_rest_N = np.isin(place_N, rest)
    mean = np.average(asked.near_V[place_N[in_rest_N]], weights=weight_N[in_rest_N])
    estimates, at = Postings(histories).estimated(asked, product_B), 0
    for user, length in enumerate(histories.length_B.tolist()):
        own = range(at, at + length)
        total = sum(weight_N[i] * (mean if in_rest_N[i] else asked.near_V[place_N[i]]) for i in own)
        late = sum(g * np.log(f + total) for g, f in zip(asked.gain_H, asked.floor_H, strict=True))
        assert estimates[user] == pytest.approx(product_B[user] + 0.8 * late - 1.5, abs=1e-6)
        at += length


def test_the_best_by_scores_are_among_the_best_by_estimates():
    histories, asked, product_B = people(5_000, 20_000, 2)
    exact, near = histories.scores(asked, product_B), Postings(histories).estimated(asked, product_B)
    best, listed = (set(np.argsort(-scores)[:k].tolist()) for scores, k in ((exact, 50), (near, 200)))
    assert len(best & listed) >= 49
    by_vectors = set(np.argsort(-product_B)[:200].tolist())
    assert len(best & by_vectors) < 40


def test_a_model_without_late_interaction_is_its_vectors():
    histories, asked, product_B = people(9, 5, 3)
    plain = Placed(asked.vector_M, histories.key_V, np.zeros(0), np.zeros(0), np.zeros(0), 1.0, 0.0)
    assert Postings(histories).estimated(plain, product_B) is product_B
