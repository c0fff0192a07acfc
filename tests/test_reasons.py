"""Reasons: the effect of a text is the score less the score without it, of one sentence and of several."""

import math
from datetime import date

import numpy as np
import pyarrow as pa
import pytest
from serving_doubles import WordModel, words_vector

from feature_repo.contracts.templates import text_key
from model.combining import answered
from model.known_texts import KnownTexts
from model.leave_one_out import fitted_gain, late_drops, mean_drops
from model.placed import Histories
from model.rewriting.document import OR
from model.scores import Asked as AskedOfTexts
from serving.audience import Ranked
from serving.meeting import Meeting
from serving.question import Asked
from serving.reasons import Reasons
from serving.texts import TextTable

DAY = date(2024, 6, 1)
HISTORY = ("picnic basket", "garden plant", "lunch bag", "cake stand")
PICNIC, GARDEN = Asked("picnic basket"), Asked("garden plant")


class Vector:
    """A demand of this text part."""

    def __init__(self, part: np.ndarray) -> None:
        self.vector = np.concatenate([[0.0], part, [0.0]]).astype(np.float32)


class Online:
    """Everybody bought all of HISTORY on two days."""

    def events(self, users):
        return {u: [("bills", day, text_key(t)) for t in HISTORY for day in (19_860, 19_874)] for u in users}


def asked_of_texts(seed: int, **changed) -> AskedOfTexts:
    g = np.random.default_rng(seed)
    given = {
        "vector_M": np.zeros(3, np.float32),
        "key_V": np.arange(1, 41) * 7,
        "near_V": np.exp(15 * (g.uniform(-1, 1, 40) - 1)),
        "gain_H": np.array([0.25, 0.3]),
        "floor_H": np.exp([-5.0, -13.0]),
        "late_weight": 0.75,
        "late_bias": 2.5,
    }
    return AskedOfTexts(**given | changed)


def ranked(model, users, texts, asked) -> tuple[Ranked, list]:
    keys = np.array(sorted(map(text_key, texts)), np.int64)
    own = [(keys, np.ones(len(keys), np.float32))] * len(users)
    demands = model.read_demands([sentence.text for sentence in asked], DAY)
    each = [model.rescore(np.full(len(users), 0.1), own, None, demand) for demand in demands]
    rows = np.arange(len(users))
    found = answered(model.probabilities, asked, each)
    return Ranked(list(users), *found, np.stack(each), Histories.of(own), rows), demands


def reasons(texts=HISTORY, asked=(PICNIC,), users=("u",), known=HISTORY):
    model = WordModel("v1")
    found, demands = ranked(model, users, texts, asked)
    keys = np.array(sorted(map(text_key, known)), np.int64)
    table = TextTable(keys, pa.array(sorted(known, key=text_key)))
    return Reasons(table, Online(), 1.0).of(found, asked, Meeting(model, None, demands, None))


@pytest.mark.parametrize("seed", range(4))
def test_the_drop_of_a_text_is_the_score_less_the_score_without_it(seed):
    asked, g = asked_of_texts(seed), np.random.default_rng(seed)
    lengths = [5, 0, 1, 40]
    keys = [np.sort(g.choice(asked.key_V, n, replace=False)) for n in lengths]
    weights = [g.uniform(0, 3, n).astype(np.float32) for n in lengths]

    found = np.split(
        late_drops(
            asked, np.searchsorted(asked.key_V, np.concatenate(keys)), np.concatenate(weights), np.array(lengths)
        ),
        np.cumsum(lengths)[:-1],
    )

    def late(own, weight) -> float:
        return float(asked.rescored(np.zeros(1), own, weight, np.array([len(own)]))[0])

    for own, weight, drop_N in zip(keys, weights, found, strict=True):
        for at, drop in enumerate(drop_N):
            rest = np.delete(own, at), np.delete(weight, at)
            assert drop == pytest.approx(late(own, weight) - late(*rest), rel=1e-9, abs=1e-12)


def test_without_late_interaction_no_text_moves_the_score():
    none = np.zeros(0)
    assert late_drops(
        asked_of_texts(0, floor_H=none, gain_H=none), np.array([0]), np.ones(1), np.array([1])
    ).tolist() == [0]


@pytest.mark.parametrize("seed", range(3))
def test_the_drop_of_a_mean_is_the_mean_less_the_mean_without_the_text(seed):
    g = np.random.default_rng(seed)
    lengths = np.array([4, 0, 1, 9])
    product, weight = g.standard_normal(14), g.uniform(0.1, 3, 14).astype(np.float32)

    found = mean_drops(product, weight, lengths)

    at = 0
    for length in lengths.tolist():
        own, mine = product[at : at + length], weight[at : at + length].astype(float)
        for n in range(length):
            rest = np.average(np.delete(own, n), weights=np.delete(mine, n)) if length > 1 else 0.0
            assert found[at + n] == pytest.approx(np.average(own, weights=mine) - rest, abs=1e-6)
        at += length


def test_the_gain_is_found_where_vectors_are_means_of_texts(trained, texts):
    g = np.random.default_rng(0)
    owned = [np.sort(g.choice(texts.keys, int(g.integers(1, 9)), replace=False)) for _ in range(40)]
    weighted = [(keys, g.uniform(0.5, 2, len(keys)).astype(np.float32)) for keys in owned]
    (demand,) = trained.read_demands(["coffee fans"], DAY)
    width = len(demand.vector) - 2
    users = np.zeros((40, width + 2), np.float32)
    unit = np.eye(width, dtype=np.float32)
    known = KnownTexts(trained, texts, texts.keys)
    everything = np.arange(len(texts.keys))
    axes = [known.products(Vector(row), everything) for row in unit]
    place = {key: at for at, key in enumerate(texts.keys.tolist())}
    for row, (keys, weights) in enumerate(weighted):
        columns = [place[key] for key in keys.tolist()]
        users[row, 1:-1] = 0.3 + 2.5 * np.average(np.stack(axes, 1)[columns], axis=0, weights=weights)

    assert fitted_gain(trained, texts, users, weighted) == pytest.approx(2.5, rel=1e-4)
    assert fitted_gain(trained, texts, users[:1], weighted[:1]) == 0.0
    assert fitted_gain(WordModel("v1"), texts, users, weighted) == 0.0


def test_the_products_are_those_of_texts_turned_as_users_are(trained, texts):
    (demand,) = trained.read_demands(["coffee fans"], DAY)
    turned = trained.text.space.turned(trained.centred(texts)[1:], trained.recipe.served).numpy()

    found = KnownTexts(trained, texts, texts.keys).products(demand, np.array([2, 0, 2]))

    np.testing.assert_allclose(found, (turned @ demand.vector[1:-1])[[2, 0, 2]], atol=1e-5)


def test_a_reason_tells_its_effect_its_source_and_when():
    (reason,) = reasons(["picnic basket", "garden plant"], known=["picnic basket"])["u"]

    full = np.log1p(
        sum(float(words_vector(t) @ words_vector("picnic basket")) for t in ("picnic basket", "garden plant"))
    )
    rest = np.log1p(float(words_vector("garden plant") @ words_vector("picnic basket")))
    assert (reason.text, reason.source, reason.count, reason.last_day) == ("picnic basket", "bills", 2, "2024-05-31")
    assert reason.effect == pytest.approx(full - rest, rel=1e-5)
    sigmoid = [1 / (1 + math.exp(-(0.1 + late))) for late in (full, rest)]
    assert reason.probability_effect == pytest.approx(sigmoid[0] - sigmoid[1], rel=1e-5)


def test_reasons_come_with_the_greatest_effect_first_and_what_moves_nothing_is_none():
    found = reasons()["u"]

    assert [reason.text for reason in found] == ["picnic basket"]
    assert found[0].effect > 0.3
    assert reasons(["garden plant"])["u"] == ()
    assert reasons([]) == {}


@pytest.mark.parametrize(
    "asked", [(PICNIC, GARDEN), (PICNIC, Asked("garden plant", joined=OR)), (PICNIC, Asked("lunch bag", negated=True))]
)
def test_several_sentences_are_left_out_of_together(asked):
    found = {reason.text: reason for reason in reasons(asked=asked)["u"]}
    model = WordModel("v1")

    for text in HISTORY:
        full, _ = ranked(model, ["u"], HISTORY, asked)
        without, _ = ranked(model, ["u"], [other for other in HISTORY if other != text], asked)
        if text in found:
            assert found[text].effect == pytest.approx(full.scores[0] - without.scores[0], rel=1e-6)
            change = full.probabilities[0] - without.probabilities[0]
            assert found[text].probability_effect == pytest.approx(change, rel=1e-6)
        else:
            assert full.scores[0] - without.scores[0] < 0.01


def test_what_speaks_against_a_demand_is_no_reason():
    assert reasons(["picnic basket"], asked=(Asked("picnic basket", negated=True),))["u"] == ()


def test_a_text_that_is_not_online_has_no_time():
    (reason,) = reasons(["Picnic basket"], known=["Picnic basket"])["u"]
    assert (reason.source, reason.count, reason.last_day) == ("", 0, "")
