"""Bounds of scores hold, however few texts are read."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import model.bounds
from model.bounds import Bounds, Crowd, nearest
from model.placed import Histories, Placed

SLACK = 1e-4


def crowd_of(users: int, texts: int, seed: int) -> Crowd:
    """Users of whom some have no texts."""
    g = np.random.default_rng(seed)
    own = [np.unique(g.integers(0, texts, g.integers(0, 12))) for _ in range(users)]
    histories = Histories.of([(keys, g.gamma(1, 2, len(keys)).astype(np.float32)) for keys in own])
    return Crowd(g.normal(size=(users, 3)).astype(np.float32), histories)


def demand(crowd: Crowd, gains: tuple[float, float], weight: float, seed: int) -> Placed:
    """One to which few texts are near."""
    g = np.random.default_rng(seed)
    key_V = crowd.histories.key_V
    near_V = np.exp(15 * (g.normal(0.05, 0.25, len(key_V)).clip(-1, 1) - 1))
    return Placed(np.ones(3), key_V, near_V, np.array(gains), np.exp([-5.0, -13.0]), weight, -1.5)


def chosen(crowd: Crowd, asked: Placed) -> model.bounds.Nearest:
    return nearest(asked.near_V, crowd.having_V, crowd.weight_V)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 60),
    st.integers(1, 300),
    st.integers(0, 10_000),
    st.sampled_from([0, 3, 30, 500_000]),
    st.sampled_from([(0.3, 0.2), (-0.3, 0.2), (0.0, -1.0)]),
    st.sampled_from([0.8, -0.8]),
)
def test_every_score_lies_between_its_bounds(users, texts, seed, read, gains, weight):
    crowd = crowd_of(users, texts, seed)
    asked = demand(crowd, gains, weight, seed)
    product_B = crowd.vector_BM.sum(1)
    score_B = crowd.histories.scores(asked, product_B.astype(np.float64))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("model.bounds.FEW", read)
        found = crowd.bounds(asked, chosen(crowd, asked), product_B)

    assert np.all(found.low_B <= score_B + SLACK) and np.all(score_B <= found.high_B + SLACK)
    assert np.all(found.low_B <= found.likely_B + SLACK) and np.all(found.likely_B <= found.high_B + SLACK)
    if read >= len(crowd.histories.place_N):
        np.testing.assert_allclose(found.likely_B, score_B, atol=SLACK)
        np.testing.assert_allclose(found.high_B - found.low_B, 0, atol=SLACK)


def test_the_nearest_texts_are_read_and_the_others_weighed(monkeypatch):
    monkeypatch.setattr("model.bounds.FEW", 6)
    near_V, having_V = np.array([1e-6, 0.5, 0.01, 1e-3]), np.array([40, 2, 4, 50])

    found = nearest(near_V, having_V, np.array([10.0, 7.0, 9.0, 30.0]))

    assert found.place_K.tolist() == [1, 2] and found.near_K.tolist() == pytest.approx([0.5, 0.01])
    assert found.most == pytest.approx(1e-3)
    assert found.mean == pytest.approx((10 * 1e-6 + 30 * 1e-3) / 40)


def test_of_many_pairs_a_share_is_read(monkeypatch):
    monkeypatch.setattr("model.bounds.FEW", 0)
    monkeypatch.setattr("model.bounds.READ", 0.5)
    assert nearest(np.array([0.1, 0.9, 0.5]), np.array([1, 1, 2]), np.ones(3)).place_K.tolist() == [1]
    assert nearest(np.array([0.1, 0.9, 0.5]), np.array([9, 1, 2]), np.ones(3)).place_K.tolist() == [1, 2]


def test_without_late_interaction_bounds_are_the_products():
    crowd = crowd_of(5, 9, 1)
    none = np.zeros(0)
    asked = Placed(np.ones(3), crowd.histories.key_V, none, none, none, 1.0, 0.0)
    product_B = crowd.vector_BM.sum(1)

    found = crowd.bounds(asked, chosen(crowd, asked), product_B)

    assert found.low_B is product_B and found.high_B is product_B and found.likely_B is product_B


def test_bounds_of_several_crowds_follow_each_other():
    one, two = (Bounds(*(np.arange(3.0) + 10 * at + part for part in range(3))) for at in (0, 1))
    found = Bounds.joined([one, two])
    assert found.low_B.tolist() == [*one.low_B, *two.low_B] and found.high_B.tolist() == [*one.high_B, *two.high_B]
