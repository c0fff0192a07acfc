"""A demand is moved towards the lake's texts that are nearest to it."""

import numpy as np
import pytest
import torch

from model.text_space import MAX_LANDMARKS, NEAREST_SHARE, PULL, TextSpace

WIDTH = 6
RNG = np.random.default_rng(3)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def texts(count):
    return unit(RNG.normal(size=(count, WIDTH)) + 1).astype(np.float32)


def test_a_demand_moves_halfway_to_the_mean_of_its_nearest_landmarks():
    vectors, demands = texts(900), texts(4)
    space = TextSpace.of(vectors, np.ones(900))

    asked = space.asked(torch.from_numpy(demands)).numpy()

    centred = unit(vectors - vectors.mean(0))
    for demand, found in zip(unit(demands - vectors.mean(0)), asked, strict=True):
        nearest = np.argsort(-(centred @ demand))[: int(NEAREST_SHARE * 900)]
        assert len(nearest) == 4
        wanted = unit(demand + PULL * unit(centred[nearest].mean(0)))
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_lake_of_few_texts_leaves_a_demand_where_it_is():
    vectors, demands = texts(int(1 / NEAREST_SHARE) - 1), torch.from_numpy(texts(4))
    space = TextSpace.of(vectors, np.ones(len(vectors)))
    torch.testing.assert_close(space.asked(demands), space.centred(demands))


def test_landmarks_are_the_most_frequent_texts_that_occur(monkeypatch):
    monkeypatch.setattr("model.text_space.MAX_LANDMARKS", 3)
    vectors, counts = texts(6), np.array([0, 5, 1, 9, 0, 7])
    space = TextSpace.of(vectors, counts)
    np.testing.assert_allclose(space.landmark_LE, unit(vectors - vectors.mean(0))[[1, 3, 5]], atol=1e-6)
    assert TextSpace.of(vectors, np.zeros(6)).landmark_LE.shape == (0, WIDTH) and MAX_LANDMARKS > 3


def test_the_encoding_gets_a_gradient():
    vectors = texts(900)
    demand = torch.from_numpy(texts(1)).requires_grad_(True)
    TextSpace.of(vectors, np.ones(900)).asked(demand)[0, 0].backward()
    assert demand.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
def test_texts_keep_their_precision(kind):
    space = TextSpace.of(texts(10), np.ones(10))
    assert space.centred(torch.from_numpy(texts(2)).to(kind)).dtype == kind
