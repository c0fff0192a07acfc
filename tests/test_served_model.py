"""The model as a service asks it gives the numbers of the model; what is prepared for it, those of the plain code."""

from dataclasses import replace

import numpy as np
import pytest
from model_pairs import LATER, TOPICS, some_users

from feature_repo.contracts.errors import FoundError
from model.calibration.line import Line
from model.calibration.matching import Matcher
from model.calibration.units import Units
from model.found import FoundModel
from model.known_texts import KnownTexts
from model.placed import Histories, Placed, joined, over_one_table
from model.quick_encoding import OneRow
from model.quick_reading import Encodings, QuickMatcher, QuickUnits
from model.scores import inner_products
from model.served import ServedModel

SAID = [
    *(f"People who will buy {topic} things" for topic in TOPICS),
    f"Users who will not buy {TOPICS[0]} things",
    "people who want zithers",
    "People who will spend more than 500 EUR",
]


@pytest.fixture(scope="module")
def plain(calibrated_folder) -> FoundModel:
    return FoundModel.from_pretrained(calibrated_folder)


@pytest.fixture(scope="module")
def served(calibrated_folder) -> ServedModel:
    return ServedModel.from_pretrained(calibrated_folder)


@pytest.mark.parametrize("said", SAID)
def test_a_demand_is_read_and_calibrated_alike(said, plain, served):
    (expected,), (found,) = plain.read_demands([said], LATER), served.read_demands([said], LATER)

    np.testing.assert_allclose(found.vector, expected.vector, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.late, expected.late, atol=1e-6)
    assert (found.late_bias, found.late_weight, found.spread) == pytest.approx(
        (expected.late_bias, expected.late_weight, expected.spread), rel=1e-4
    )


def test_the_line_of_a_demand_does_not_depend_on_what_else_was_asked(served, calibrated_folder):
    (first,) = served.read_demands([SAID[-2]], LATER)
    again = ServedModel.from_pretrained(calibrated_folder)
    again.read_demands(SAID[:2], LATER)
    (second,) = again.read_demands([SAID[-2]], LATER)

    np.testing.assert_array_equal(first.vector, second.vector)
    assert (first.late_bias, first.late_weight) == (second.late_bias, second.late_weight)


def test_what_a_demand_is_read_with_is_encoded_at_once_after_the_demand(calibrated_folder, monkeypatch):
    served = ServedModel.from_pretrained(calibrated_folder)
    said = "People who will buy zithers and quark"
    (expected,) = FoundModel.from_pretrained(calibrated_folder).read_demands([said], LATER)
    asked: list[list[str]] = []
    forward = OneRow.forward
    monkeypatch.setattr(OneRow, "forward", lambda self, texts: asked.append(list(texts)) or forward(self, texts))

    (read,) = served.uncalibrated([said], LATER)
    assert asked == [[served.read(said)]]
    (found,) = served.calibrated([said], [read], LATER)

    assert asked == [[served.read(said)], ["zithers", "quark"]]
    np.testing.assert_allclose(found.vector, expected.vector, rtol=1e-4, atol=1e-5)


def test_hastened_a_model_answers_as_before(calibrated_folder):
    served = ServedModel.from_pretrained(calibrated_folder)
    before = served.read_demands(SAID, LATER)
    again = ServedModel.from_pretrained(calibrated_folder)

    again.hasten()

    for one, other in zip(again.read_demands(SAID, LATER), before, strict=True):
        np.testing.assert_array_equal(one.vector, other.vector)
        np.testing.assert_array_equal(one.late, other.late)
        assert (one.late_bias, one.late_weight) == (other.late_bias, other.late_weight)


def test_a_demand_is_the_same_whatever_is_asked_with_it(served):
    both, alone = served.uncalibrated(SAID[-3:], LATER), [served.uncalibrated([said], LATER)[0] for said in SAID[-3:]]

    for one, other in zip(both, alone, strict=True):
        np.testing.assert_array_equal(one.vector, other.vector)
        np.testing.assert_array_equal(one.late, other.late)


def test_a_sentence_of_a_small_model_is_encoded_by_one_thread(calibrated_folder, monkeypatch):
    asked: list[int] = []
    monkeypatch.setattr("torch.set_num_threads", asked.append)
    ServedModel.from_pretrained(calibrated_folder)
    monkeypatch.setattr("model.quick_encoding.SMALL", 0)
    ServedModel.from_pretrained(calibrated_folder)

    assert asked == [1]


def test_texts_are_encoded_without_the_adapter_by_the_same_weights(plain, served):
    np.testing.assert_array_equal(served.encode_texts(SAID[:1]), plain.encode_texts(SAID[:1]))
    np.testing.assert_array_equal(served.encode_texts(SAID), plain.encode_texts(SAID))
    weights = dict(served.plain.named_parameters())
    assert weights and not any("lora" in name for name in weights)
    ours = {each.data_ptr() for each in served.parameters()}
    assert {each.data_ptr() for each in weights.values()} <= ours


def test_a_model_without_calibration_asks_as_it_was_trained(trained_folder, trained):
    served = ServedModel.from_pretrained(trained_folder / (trained_folder / "CURRENT").read_text())

    (found,), (expected,) = served.read_demands(SAID[:1], LATER), trained.read_demands(SAID[:1], LATER)

    np.testing.assert_allclose(found.vector, expected.vector, rtol=1e-4, atol=1e-5)
    assert found.spread is None


def test_scores_over_prepared_texts_are_those_of_the_model_bit_by_bit(served, texts):
    users, (demand,) = served.embed(some_users(24), texts), served.read_demands(SAID[:1], LATER)
    histories = Histories.of(users.texts)
    known = served.known(texts, histories.key_V)

    found = histories.scores(known.asked(demand, histories.place_N), inner_products(users.vectors, demand.vector))

    np.testing.assert_array_equal(found, served.score(users, demand, texts))
    everything = np.arange(len(histories.key_V))
    near_V = served.asked(demand, texts, histories.key_V).near_V
    for asked in (demand, demand.moved(Line(0.5, 2.0))):
        np.testing.assert_array_equal(known.asked(asked, everything).near_V, near_V)
        np.testing.assert_allclose(known.nearly(asked).near_V, near_V, rtol=1e-5)


def test_only_texts_that_histories_have_are_reckoned_exactly(served, texts):
    (demand,) = served.read_demands(SAID[:1], LATER)
    known, expected = served.known(texts, texts.keys), served.asked(demand, texts, texts.keys).near_V

    for place_N in (np.array([3, 1, 3]), np.array([1, 4])):
        found = known.asked(demand, place_N).near_V
        np.testing.assert_array_equal(found[place_N], expected[place_N])

    assert np.flatnonzero(~np.isnan(found)).tolist() == [1, 3, 4]


def test_a_model_without_late_interaction_scores_by_its_vectors(trained, texts, monkeypatch):
    monkeypatch.setattr(trained, "recipe", replace(trained.recipe, alignment="infonce"))
    (demand,) = trained.read_demands(["garden fans"], LATER)
    known = KnownTexts(trained, texts, texts.keys)

    histories = Histories.of([(texts.keys[:2], np.ones(2, np.float32))])

    assert histories.scores(known.asked(demand, histories.place_N), np.array([0.25])).tolist() == [0.25]


def test_a_text_without_a_vector_is_named(served, texts):
    with pytest.raises(FoundError, match="text key 7 has no vector"):
        served.known(texts, np.array([7]))


def weighted(seed: int, lengths=(3, 0, 5, 1)):
    g = np.random.default_rng(seed)
    return [
        (np.sort(g.choice(np.arange(1, 30) * 11, n, replace=False)), g.uniform(0, 2, n).astype(np.float32))
        for n in lengths
    ]


def as_pairs(histories: Histories) -> list[dict[int, float]]:
    ends = np.cumsum(histories.length_B)[:-1]
    parts = (np.split(part, ends) for part in (histories.key_V[histories.place_N], histories.weight_N))
    return [dict(zip(keys.tolist(), weights.tolist(), strict=True)) for keys, weights in zip(*parts, strict=True)]


def test_histories_hold_the_texts_of_their_users_in_any_order():
    users = weighted(0)
    expected = [dict(zip(keys.tolist(), weights.tolist(), strict=True)) for keys, weights in users]
    histories = Histories.of(users)

    assert as_pairs(histories) == expected and len(histories) == 4
    assert as_pairs(histories.take(np.array([2, 1, 2, 0]))) == [expected[at] for at in (2, 1, 2, 0)]
    assert len(histories.take(np.array([], np.int64))) == 0 == len(Histories.of([]))


def test_who_has_one_of_some_texts_is_found_as_a_loop_finds_it():
    users = weighted(3, lengths=(3, 0, 5, 1, 0, 9, 0))

    for wanted in ([], [7], users[2][0][:2].tolist(), [*users[3][0].tolist(), *users[0][0].tolist(), 1]):
        expected = [any(key in wanted for key in keys.tolist()) for keys, _ in users]
        assert Histories.of(users).having(np.array(wanted, np.int64)).tolist() == expected


def test_histories_over_several_tables_become_those_over_one():
    parts = [Histories.of(weighted(seed)) for seed in (1, 2)]

    one, two = over_one_table(*parts)

    assert one.key_V is two.key_V and np.all(np.diff(one.key_V) > 0)
    assert [as_pairs(one), as_pairs(two)] == [as_pairs(part) for part in parts]
    assert as_pairs(joined(parts)) == [own for part in parts for own in as_pairs(part)]


def test_a_placed_demand_scores_by_places_as_the_demand_does_by_keys(served, texts):
    users, (demand,) = served.embed(some_users(9), texts), served.read_demands(SAID[:1], LATER)
    histories = Histories.of(users.texts)
    asked = served.asked(demand, texts, histories.key_V)
    keys, weights = histories.key_V[histories.place_N], histories.weight_N

    expected = asked.rescored(np.zeros(9), keys, weights, histories.length_B)

    np.testing.assert_array_equal(histories.scores(Placed.at(asked), np.zeros(9)), expected)


UNITS = Units.of(["garden chair, furniture", "gardeners at home", "lunch box", "a box of boxes", "tea"])


@pytest.mark.parametrize("seed", range(3))
def test_the_largest_value_of_a_texts_units_is_that_of_the_plain_code(seed):
    value_U = np.random.default_rng(seed).uniform(-1, 1, len(UNITS.names))

    np.testing.assert_array_equal(QuickUnits.like(UNITS).texts_with(value_U), UNITS.texts_with(value_U))


def encode(texts):
    vectors = np.stack([np.random.default_rng(sum(map(ord, text))).uniform(0.1, 1, 8) for text in texts])
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("topic", ["garden boxes", "gardening", "box", "zither and quark", "the", "tea or lunch boxes"])
@pytest.mark.parametrize("exact", [False, True])
def test_a_topic_means_the_texts_that_it_does_by_the_plain_code(topic, exact):
    plain = Matcher(UNITS, np.ones(UNITS.texts, bool), encode(UNITS.names), encode([str(at) for at in range(5)]))
    quick = QuickMatcher(plain)

    expected, found = plain.match(topic, encode, exact=exact), quick.match(topic, asker(quick), exact=exact)

    assert found.coverage == pytest.approx(expected.coverage)
    if expected.probability_V is None:
        assert found.probability_V is None
    else:
        np.testing.assert_allclose(found.probability_V, expected.probability_V, atol=1e-6)


def asker(matcher: QuickMatcher):
    return Encodings(encode, encode, matcher.words).later


def test_what_is_encoded_for_a_demand_is_that_demands_alone():
    beside = np.eye(8, dtype=np.float32)[:1]
    encodings = Encodings(encode, lambda texts: beside, ["tea"])
    assert encodings.unknown(["tea", "box", "box", "lid"]) == ["box", "lid"]
    rows = encode(["one", "two"])

    (for_boxes, tea), (elsewhere,) = encodings.for_these(["box"])(["box", "tea"]), encodings.later(["box"])

    np.testing.assert_array_equal(rows @ for_boxes, rows[:, 0])
    np.testing.assert_allclose(rows @ tea, rows @ encode(["tea"])[0], rtol=1e-6)
    np.testing.assert_allclose(rows @ elsewhere, rows @ encode(["box"])[0], rtol=1e-6)


def test_how_near_texts_are_to_a_word_of_the_lake_is_kept_and_to_other_words_is_not(monkeypatch):
    asked: list[str] = []
    word = Matcher._word
    monkeypatch.setattr(Matcher, "_word", lambda self, *told: asked.append(told[0]) or word(self, *told))
    quick = QuickMatcher(Matcher(UNITS, np.ones(UNITS.texts, bool), encode(UNITS.names), encode([*"abcde"])))
    encodings = Encodings(encode, lambda texts: 1 - encode(texts), quick.words)

    first = quick.match("garden zithers", encodings.for_these(["garden zithers", "zithers"]))
    again = quick.match("garden zithers", encodings.for_these(["garden zithers", "zithers"]))
    quick.match("garden", encodings.later, exact=True)

    assert asked == ["garden", "zithers", "zithers", "garden"]
    np.testing.assert_array_equal(first.probability_V, again.probability_V)


def test_words_are_encoded_once_and_other_texts_when_they_are_met():
    asked: list[list[str]] = []

    def counted(texts):
        asked.append(list(texts))
        return encode(texts)

    encodings = Encodings(counted, counted, ["tea", "box", "tea"])
    later = encodings.later(["tea", "lunch box"])
    assert asked == [["box", "tea"]]
    rows = encode(["one", "two"])

    for _ in range(2):
        np.testing.assert_allclose(rows @ later[1], rows @ encode(["lunch box"])[0], rtol=1e-6)
        np.testing.assert_allclose(rows @ later[0], rows @ encode(["tea"])[0], rtol=1e-6)

    assert asked == [["box", "tea"], ["lunch box"]]
