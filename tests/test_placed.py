"""Sums over everybody's texts at once are those that are taken user by user."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model.placed import Histories, Placed
from serving.nearly import ROUNDING


def people(users, texts, seed):
    """Histories, some of them empty, and a demand to which few texts are near."""
    rng = np.random.default_rng(seed)
    own = [np.unique(rng.integers(0, texts, rng.integers(0, 12))) for _ in range(users)]
    histories = Histories.of([(keys, rng.random(len(keys)).astype(np.float32)) for keys in own])
    near_V = np.exp(15 * (rng.normal(0.05, 0.15, len(histories.key_V)).clip(-1, 1) - 1))
    floors = np.exp([-5.0, -13.0])
    asked = Placed(np.zeros(2), histories.key_V, near_V, np.array([0.3, 0.2]), floors, 0.8, -1.5)
    return histories, asked, rng.normal(size=users) / 4


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 60), st.integers(1, 500), st.integers(0, 10_000))
def test_the_scores_of_everybody_at_once_are_those_of_each_but_for_rounding(users, texts, seed):
    histories, asked, product_B = people(users, texts, seed)
    each = []
    for user in range(users):
        own = histories.take(np.array([user]))
        near = float((own.weight_N.astype(float) * asked.near_V[own.place_N]).sum())
        late = sum(g * np.log(f + near) for g, f in zip(asked.gain_H, asked.floor_H, strict=True))
        each.append(product_B[user] + 0.8 * late - 1.5)

    np.testing.assert_allclose(histories.scores(asked, product_B), each, rtol=1e-9)
    np.testing.assert_allclose(histories.nearly(asked, product_B), each, atol=ROUNDING / 100)


def test_a_model_without_late_interaction_is_its_vectors():
    histories, asked, product_B = people(9, 5, 3)
    plain = Placed(asked.vector_M, histories.key_V, np.zeros(0), np.zeros(0), np.zeros(0), 1.0, 0.0)
    assert histories.nearly(plain, product_B) is product_B


@given(st.integers(1, 20), st.data())
def test_the_histories_of_neighbours_are_theirs(users, data):
    histories, _, _ = people(users, 30, users)
    first = data.draw(st.integers(0, users))
    end = data.draw(st.integers(first, users))

    found, expected = histories.between(first, end), histories.take(np.arange(first, end))

    assert np.shares_memory(found.weight_N, histories.weight_N) or not len(found.weight_N)
    for part in ("key_V", "place_N", "weight_N", "length_B"):
        np.testing.assert_array_equal(getattr(found, part), getattr(expected, part))
