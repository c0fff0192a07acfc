"""Final scores in numpy: the formula, and the same bits whoever is scored beside a user."""

import math

import numpy as np
import pytest

from model.scores import Asked, cosines, inner_products

WIDTH, TEXTS = 257, 40


@pytest.fixture
def asked() -> Asked:
    g = np.random.default_rng(1)
    keys = np.sort(g.choice(2**60, TEXTS, replace=False))
    return Asked(
        vector_M=g.standard_normal(WIDTH).astype(np.float32),
        key_V=keys,
        near_V=np.exp(15 * (g.uniform(-1, 1, TEXTS) - 1)),
        gain_H=np.array([0.25, 0.3]),
        floor_H=np.exp([-5.0, -13.0]),
        late_weight=0.75,
        late_bias=2.5,
    )


def users(asked: Asked, count: int, seed: int = 2):
    """Vectors, and each user's own keys and weights; every third user has no text."""
    g = np.random.default_rng(seed)
    vectors = (g.standard_normal((count, WIDTH)) * g.uniform(0.1, 9, (count, 1))).astype(np.float32)
    lengths = [0 if at % 3 == 2 else int(g.integers(1, TEXTS)) for at in range(count)]
    keys = [np.sort(g.choice(asked.key_V, n, replace=False)) for n in lengths]
    return vectors, keys, [g.uniform(0, 3, n).astype(np.float32) for n in lengths]


def scored(asked: Asked, vectors, keys, weights) -> np.ndarray:
    lengths = np.array([len(own) for own in keys])
    return asked.scores(vectors, np.concatenate(keys), np.concatenate(weights), lengths)


def test_the_score_is_the_inner_product_and_late_interaction_with_each_text(asked):
    vectors, keys, weights = users(asked, 12)
    near = dict(zip(asked.key_V.tolist(), asked.near_V.tolist(), strict=True))

    for at, score in enumerate(scored(asked, vectors, keys, weights)):
        product = math.fsum(float(a) * float(b) for a, b in zip(vectors[at], asked.vector_M, strict=True))
        total = math.fsum(float(w) * near[int(k)] for k, w in zip(keys[at], weights[at], strict=True))
        late = sum(g * math.log(e + total) for g, e in zip(asked.gain_H, asked.floor_H, strict=True))
        assert score == pytest.approx(product + 0.75 * late + 2.5, rel=1e-12)


@pytest.mark.parametrize("count", [1, 2, 7, 100, 5_000])
def test_a_user_has_the_same_bits_alone_and_among_any_others(asked, count):
    vectors, keys, weights = users(asked, count)
    together = scored(asked, vectors, keys, weights)

    for at in {0, count // 2, count - 1}:
        one = slice(at, at + 1)
        assert scored(asked, vectors[one], keys[one], weights[one])[0] == together[at]
    order = np.random.default_rng(3).permutation(count)
    shuffled = scored(asked, vectors[order], [keys[i] for i in order], [weights[i] for i in order])
    np.testing.assert_array_equal(shuffled, together[order])


def test_equal_users_are_tied_wherever_they_lie(asked):
    vectors, keys, weights = users(asked, 10)

    scores = scored(asked, np.concatenate([vectors] * 401), keys * 401, weights * 401)

    np.testing.assert_array_equal(scores.reshape(401, 10), np.tile(scores[:10], (401, 1)))


def test_a_cosine_has_the_same_bits_alone_and_among_any_others():
    g = np.random.default_rng(4)
    table, centre, unit = g.standard_normal((5_000, 384)).astype(np.float32), g.standard_normal(384) / 9, np.eye(384)[7]
    rows = g.permutation(5_000)

    together = cosines(table, rows, centre, unit)

    expected = (table - centre)[rows, 7] / np.linalg.norm(table[rows] - centre, axis=1)
    np.testing.assert_allclose(together, expected, rtol=1e-12)
    for at in (0, 2_500, 4_999):
        assert cosines(table, rows[at : at + 1], centre, unit)[0] == together[at]


def test_a_text_at_the_centre_is_near_to_nothing():
    assert cosines(np.ones((1, 3), np.float32), np.array([0]), np.ones(3), np.eye(3)[0]).tolist() == [0.0]


def test_a_text_that_is_not_known_gives_no_number(asked):
    vectors, _, _ = users(asked, 2)
    stranger = [np.array([2**60 + 5]), asked.key_V[:1]]

    scores = scored(asked, vectors, stranger, [np.ones(1, np.float32)] * 2)

    assert np.isnan(scores).tolist() == [True, False]


def test_without_late_interaction_the_score_is_the_inner_product(asked):
    none = np.zeros(0)
    bare = Asked(asked.vector_M, none, none, none, none, 1.0, 9.0)
    vectors, keys, weights = users(asked, 5)

    np.testing.assert_array_equal(scored(bare, vectors, keys, weights), inner_products(vectors, asked.vector_M))
    assert len(inner_products(vectors[:0], asked.vector_M)) == 0
