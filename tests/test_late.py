"""Late interaction: the formula, its invariances, and one score whether it is trained, stored or served."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from model_pairs import LATER, some_users

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.windows import day_number
from model.late import LateInteraction, by_user
from model.recipes import tiny
from model.sequence import EncodedText
from model.text_cache import TextTable

WIDTH = 5
DEMANDS = ["customers who will buy a garden chair", "coffee fans", "people who travel"]


@pytest.fixture
def late():
    torch.manual_seed(0)
    late = LateInteraction(tiny())
    for parameter in late.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return late


@pytest.fixture
def history():
    """Three users with 4, 0 and 3 of 6 distinct texts."""
    generator = torch.Generator().manual_seed(1)
    return EncodedText(
        torch.randn(7, tiny().width, generator=generator),
        torch.tensor([1, 2, 2, 5, 6, 1, 3]),
        torch.tensor([0, 3, 4, 12, 1, 1, 0]),
        torch.tensor([0, 0, 0, 0, 2, 2, 2]),
    )


def unit(rows: int, seed: int) -> torch.Tensor:
    vectors = torch.randn(rows, WIDTH, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(vectors, dim=-1)


def test_the_score_is_the_sum_over_the_texts_of_a_history(late, history):
    text_VE, query_CE = torch.cat([torch.zeros(1, WIDTH), unit(6, 2)]), unit(4, 3)

    score = late(history, 3, text_VE, query_CE)

    beta, weights = math.exp(late.log_sharpness.item()), late.weights(history).tolist()
    for user in range(3):
        for sentence in range(4):
            total = 0.0
            for n in (n for n, owner in enumerate(history.user_N.tolist()) if owner == user):
                cosine = (text_VE[history.text_N[n]] @ query_CE[sentence]).item()
                total += weights[n] * math.exp(beta * (cosine - 1))
            expected = sum(
                gain * math.log(math.exp(floor) + total)
                for gain, floor in zip(late.gain_H.tolist(), late.log_floor_H.tolist(), strict=True)
            )
            assert score[user, sentence].item() == pytest.approx(expected, rel=1e-5)


def test_every_parameter_and_the_sentences_get_a_gradient(late, history):
    text_VE, query_CE = torch.cat([torch.zeros(1, WIDTH), unit(6, 2)]), unit(4, 3).requires_grad_()

    late(history, 3, text_VE, query_CE).sum().backward()

    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in [*late.parameters(), query_CE])


def test_before_training_every_text_weighs_one():
    late = LateInteraction(tiny())
    history = EncodedText(torch.randn(4, tiny().width), torch.arange(4), torch.arange(4), torch.zeros(4).long())

    torch.testing.assert_close(late.weights(history), torch.ones(4))


def test_the_texts_of_a_user_are_distinct_and_their_weights_added_up():
    user, key = np.array([0, 2, 0, 0, 2]), np.array([7, -5, 3, 7, 9], np.int64)

    texts = by_user(user, key, np.array([1, 2, 4, 8, 16], np.float32), users=4)

    assert [(keys.tolist(), weights.tolist()) for keys, weights in texts] == [
        ([3, 7], [4.0, 9.0]),
        ([], []),
        ([-5, 9], [2.0, 16.0]),
        ([], []),
    ]


def test_a_stored_user_has_the_score_that_training_gives(trained, texts):
    columns, day = some_users(24), day_number(LATER)
    users, demands = trained.embed(columns, texts), trained.read_demands(DEMANDS, LATER)
    with torch.no_grad():
        vector_BM, history = trained.users(trained.batch(columns, texts), trained.centred(texts))
        encoded_CE = trained.text.live([trained.read(demand) for demand in DEMANDS])
        expected_BC = vector_BM @ trained.text(encoded_CE, day).T
        expected_BC += trained.late(history, 24, trained.centred(texts), trained.text.space.asked(encoded_CE))
        expected_BC += trained.text.biases(encoded_CE, day)[:, 1]

    for at, demand in enumerate(demands):
        score = trained.rescore(users.vectors @ demand.vector, users.texts, texts, demand)
        np.testing.assert_allclose(score, expected_BC[:, at].numpy(), rtol=1e-4, atol=1e-4)


def test_a_user_scores_the_same_alone_and_among_others(trained, texts):
    users, demand = trained.embed(some_users(24), texts), trained.read_demands(DEMANDS[:1], LATER)[0]
    products = users.vectors @ demand.vector

    together = trained.rescore(products, users.texts, texts, demand)
    alone = [trained.rescore(products[i : i + 1], users.texts[i : i + 1], texts, demand)[0] for i in range(24)]

    np.testing.assert_allclose(alone, together, rtol=1e-9)
    assert trained.rescore(np.zeros(0), [], texts, demand).tolist() == []


def test_a_text_nearer_to_the_sentence_raises_the_score(trained, texts, encoder):
    demand = trained.read_demands(DEMANDS[:1], LATER)[0]
    near_V = trained.centred(texts)[1:].numpy() @ demand.late
    users = [(texts.keys[[at]], np.ones(1, np.float32)) for at in np.argsort(near_V)]

    scores = trained.rescore(np.zeros(len(users)), users, texts, demand)

    assert (np.diff(scores) >= 0).all() and scores[-1] > scores[0] + 0.5


def test_a_text_without_a_vector_is_refused(trained):
    nothing = TextTable(np.zeros(0, np.int64), np.zeros((1, trained.text.encoder.width), np.float32))
    demand = trained.read_demands(DEMANDS[:1], LATER)[0]

    with pytest.raises(FoundError, match="text key 7 has no vector"):
        trained.rescore(np.zeros(1), [(np.array([7]), np.ones(1, np.float32))], nothing, demand)


def test_the_paper_alignment_leaves_the_inner_product_as_it_is(trained, texts, monkeypatch):
    monkeypatch.setattr(trained, "recipe", replace(trained.recipe, alignment="infonce"))
    users, demand = trained.embed(some_users(4), texts), trained.read_demands(DEMANDS[:1], LATER)[0]
    products = users.vectors @ demand.vector

    np.testing.assert_array_equal(trained.rescore(products, users.texts, texts, demand), products)


def test_the_text_vectors_of_a_model_are_those_of_its_unadapted_encoder(trained, texts, text_cache):
    cached = trained.text_vectors(text_cache)

    assert np.isin(texts.keys, cached.keys).all()
    np.testing.assert_array_equal(cached.vectors[cached.rows(texts.keys)], texts.vectors[1:])
