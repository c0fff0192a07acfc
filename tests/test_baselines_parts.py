"""What baselines are made of, against plain loops: counts, nearest texts, slices, losses, expressions, candidates."""

import math
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import torch
from evaluated_run import write_snapshot
from model_pairs import CATEGORIES, COLUMNS, LATER, some_users, texts_of

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.names import Workdir
from feature_repo.contracts.templates import NOTHING, text_key
from feature_repo.contracts.windows import day_number
from model.baselines import arallm, heuristic, nearest_texts
from model.baselines.activity import LONG_AGO_DAYS, fit_frequency, fit_recency
from model.baselines.candidates import candidates
from model.baselines.coles import HARDEST, MARGIN, coles_loss
from model.baselines.head import Questions, happening
from model.baselines.lurm import counted
from model.baselines.msdp import shares_between
from model.baselines.registry import arallm_with
from model.baselines.slices import between, day_within, ordered_days, random_slice, thinned
from model.baselines.text_lm import MeanTexts
from model.baselines.training import history_keys, open_training
from model.batch import nobody
from model.data import open_pairs, rows_of
from model.recipes import tiny
from model.rewriting.document import Behaviour, Comparison, Profile, Window
from model.rewriting.language_model import LanguageModel
from model.text_cache import CachedEncoder

DEMANDS = ["garden fans", "people who will buy a coffee cup"]
BEHAVIOUR = ("bills", "clicks", "visits")


@pytest.fixture(scope="module")
def cached(text_cache, encoder):
    return CachedEncoder(text_cache, encoder)


@pytest.fixture(scope="module")
def training(tiny_pairs, cached):
    return replace(open_training(open_pairs(tiny_pairs), cached, 0), recipe=tiny())


@pytest.fixture(scope="module")
def users():
    return some_users(24)


def events_of(users, row, sources=EVENT_SOURCES):
    """(source, text key, day) of each event of a user."""
    return [
        (source, int(users[f"{source}_text"][row, i]), int(users[f"{source}_day"][row, i]))
        for source in sources
        for i in range(users[f"{source}_length"][row])
    ]


def test_frequency_counts_events_and_recency_their_age(users):
    counts, recency = (fit(None).scores(users, DEMANDS) for fit in (fit_frequency, fit_recency))

    for row in range(24):
        own = events_of(users, row)
        days = [int(users["cutoff_day"][row]) - day for _, _, day in own]
        assert counts[row].tolist() == [len(own)] * 2
        assert recency[row].tolist() == [-min(days, default=LONG_AGO_DAYS)] * 2


def test_nearest_texts_average_the_five_best_cosines_with_repeats(training, users, encoder):
    few = between(users, np.zeros(24), users["cutoff_day"] - np.arange(24) * 12, EVENT_SOURCES)
    query_CE = encoder.encode(DEMANDS)

    found = nearest_texts.fit(training).scores(few, DEMANDS)

    counts = [len(events_of(few, row)) for row in range(24)]
    assert {0, 1, 2, 3, 4} & set(counts)
    for row in range(24):
        own = [training.texts.vectors[training.texts.rows(np.array(key))] for _, key, _ in events_of(few, row)]
        for place, query_E in enumerate(query_CE):
            cosines = sorted((float(vector @ query_E) for vector in own), reverse=True)[:5]
            assert found[row, place] == pytest.approx(np.mean(cosines) if cosines else -1.0, abs=1e-5)


def test_the_heuristic_is_the_sum_of_three_standard_scores(training, users):
    found = heuristic.fit(training).scores(users, DEMANDS)

    counts = [len(events_of(users, row)) for row in range(24)]
    ages = [
        min((int(users["cutoff_day"][row]) - d for *_, d in events_of(users, row)), default=None) for row in range(24)
    ]
    oldest = max(age for age in ages if age is not None)
    near = nearest_texts.fit(training).scores(users, DEMANDS)

    def unit(values):
        mean = sum(values) / len(values)
        return [(v - mean) / math.sqrt(sum((w - mean) ** 2 for w in values) / len(values)) for v in values]

    often = unit([math.log1p(n) for n in counts])
    late = unit([math.log1p(oldest if age is None else age) for age in ages])
    for place in range(2):
        text = unit(near[:, place].tolist())
        expected = [a - b + c for a, b, c in zip(often, late, text, strict=True)]
        np.testing.assert_allclose(found[:, place], expected, atol=1e-6)


def test_unit_of_users_who_are_all_alike_is_zero():
    np.testing.assert_array_equal(heuristic.unit(np.full(4, 3.0)), np.zeros(4))


def test_mean_texts_are_one_vector_per_event_and_zero_without_any(training, users):
    found = MeanTexts(training.reader, ("searches",)).vectors(users)

    for row in range(24):
        keys = np.array([key for _, key, _ in events_of(users, row, ("searches",))], np.int64)
        raw = torch.from_numpy(training.texts.vectors[training.texts.rows(keys)])
        expected = training.reader.space.centred(raw).mean(0) if len(keys) else torch.zeros(raw.shape[1])
        np.testing.assert_allclose(found[row], expected, atol=1e-5)
    assert (found == 0).all(1).any()


def test_between_keeps_the_events_of_a_stretch_newest_first(users):
    first, end = users["cutoff_day"] - 200, users["cutoff_day"] - 40

    cut = between(users, first, end, EVENT_SOURCES)

    for row in range(24):
        kept = [event for event in events_of(users, row) if first[row] <= event[2] < end[row]]
        assert events_of(cut, row) == kept
    np.testing.assert_array_equal(cut["cutoff_day"], end)
    assert {name: cut[name].dtype for name in cut} == {name: users[name].dtype for name in users}
    np.testing.assert_array_equal(users["bills_text"], some_users(24)["bills_text"])


def test_thinning_loses_about_its_share_and_adds_nothing(users):
    thin = thinned(users, EVENT_SOURCES, 0.3, np.random.default_rng(0))

    before, after = (sum(len(events_of(u, row)) for row in range(24)) for u in (users, thin))
    assert 0.6 < after / before < 0.8
    assert all(set(events_of(thin, row)) <= set(events_of(users, row)) for row in range(24))


@pytest.mark.parametrize("seed", range(5))
def test_a_random_slice_is_a_run_of_events_as_of_a_day_before_the_next(users, seed):
    draw = np.random.default_rng(seed)

    cut = random_slice(users, BEHAVIOUR, shortest=2, longest=6, draw=draw)

    for row in range(24):
        whole = sorted(day for *_, day in events_of(users, row, BEHAVIOUR))
        kept = sorted(day for *_, day in events_of(cut, row, BEHAVIOUR))
        assert kept == [day for day in whole if kept and kept[0] <= day <= kept[-1]]
        assert len(set(kept)) <= 6 and len(kept) >= min(2, len(whole))
        later = [day for day in whole if kept and day > kept[-1]]
        assert not kept or kept[-1] < cut["cutoff_day"][row] <= min([*later, int(users["cutoff_day"][row])])


def test_a_day_within_a_life_lies_after_so_many_events_and_not_after_the_next(users):
    day_BL, count_B = ordered_days(users, BEHAVIOUR)
    for number in (1, 3, 10_000):
        wanted = np.full(24, number)
        at = day_within(users, day_BL, count_B, wanted, np.random.default_rng(0))
        for row in range(24):
            days = sorted(day for *_, day in events_of(users, row, BEHAVIOUR))
            if days:
                assert at[row] > days[min(number, len(days)) - 1]
                following = days[number] if number < len(days) else int(users["cutoff_day"][row])
                assert at[row] <= max(following, days[min(number, len(days)) - 1] + 1)


def test_coles_loss_equals_the_formula():
    torch.manual_seed(0)
    vectors = torch.randn(9, 5) * 0.1 + 1
    owner = torch.arange(3).repeat_interleave(3)
    unit = (vectors / vectors.norm(dim=1, keepdim=True)).double()

    near, far = [], []
    for i in range(9):
        distance = [float((unit[i] - unit[j]).norm()) for j in range(9)]
        near += [distance[j] ** 2 / 2 for j in range(9) if j != i and owner[i] == owner[j]]
        hardest = sorted(distance[j] for j in range(9) if owner[i] != owner[j])[:HARDEST]
        far += [max(0.0, MARGIN - d) ** 2 / 2 for d in hardest]

    assert float(coles_loss(vectors, owner)) == pytest.approx(np.mean(near) + np.mean(far), rel=1e-4)


def test_coles_costs_nothing_where_slices_agree_and_users_are_apart():
    vectors = torch.eye(4).repeat_interleave(2, 0)

    assert float(coles_loss(vectors, torch.arange(4).repeat_interleave(2))) == pytest.approx(0, abs=1e-6)


def test_the_distribution_of_a_stretch_counts_kinds_and_nothing_is_one():
    days = np.array([[10, 12, 15, 0], [3, 4, 0, 0]])
    kinds = np.array([[1, 2, 2, 0], [1, 1, 0, 0]])

    found = shares_between(days, kinds, np.array([11, 11]), np.array([20, 20]), 3)

    np.testing.assert_allclose(found, [[0, 0, 1, 0], [1, 0, 0, 0]])
    both = shares_between(days, kinds, np.array([0, 0]), np.array([16, 4]), 3)
    np.testing.assert_allclose(both, [[0, 1 / 3, 2 / 3, 0], [0, 1, 0, 0]], rtol=1e-6)


def test_bags_count_each_interest_of_each_period():
    user, ago, interest = np.array([2, 0, 2, 2, 0]), np.array([1, 0, 1, 0, 0]), np.array([5, 3, 5, 5, 1])

    bags = counted(3, user, ago, interest)

    rows = zip(bags.user_N, bags.ago_N, bags.interest_N, bags.count_N, strict=True)
    assert [tuple(map(int, row)) for row in rows] == [(0, 0, 1, 1), (0, 0, 3, 1), (2, 0, 5, 1), (2, 1, 5, 2)]
    assert len(bags) == 3


def test_no_event_at_all_makes_empty_bags():
    nothing = np.zeros(0, np.int64)
    assert len(counted(2, nothing, nothing, nothing).count_N) == 0


def test_happening_finds_each_text_in_each_future():
    future = np.array([[3, 1, 0], [2, 2, 0], [0, 0, 0]])

    found = happening(future, np.array([1, 2, 4]), 4)

    np.testing.assert_array_equal(found, [[True, False, False], [False, True, False], [False, False, False]])


def test_questions_are_vectors_with_the_truth_about_each_future(training):
    questions, future = Questions(training), training.future_PF[:30]

    text_CE, happens_BC = questions(future, np.random.default_rng(1))

    again, _ = questions(future, np.random.default_rng(1))
    torch.testing.assert_close(text_CE, again)
    asked = questions._texts(future, np.random.default_rng(1))
    assert len(text_CE) == happens_BC.shape[1] >= len(asked)
    assert training.strings.index(NOTHING) in asked
    words = training.sentences.concepts.words
    concepts = happens_BC[:, len(asked) :].numpy()
    rng = np.random.default_rng(1)
    questions._texts(future, rng)
    for place, concept in enumerate(questions._concepts(rng)):
        held = [any(words[concept] in training.strings[r - 1].lower() for r in row if r) for row in future]
        assert concepts[:, place].tolist() == held
    for place, row in enumerate(asked):
        assert happens_BC[:, place].tolist() == (future == row + 1).any(1).tolist()


def expression(*groups):
    """Groups of (condition, texts) or conditions alone."""
    named = [[each if isinstance(each, tuple) else (each, ()) for each in group] for group in groups]
    return tuple(tuple(arallm.Operand(condition, texts, texts) for condition, texts in group) for group in named)


@pytest.fixture(scope="module")
def desk(training):
    return arallm.fit(training)


def test_a_demand_becomes_an_expression_over_the_lakes_tags(desk, training):
    rewriter = desk.rewriter(LATER)

    written, either = (
        arallm.sell(desk.expression(rewriter.rewrite(demand)))
        for demand in ("people from Rome who buy garden chairs but not coffee cups", "search for travel or see a baby")
    )

    assert written.startswith("[city = Rome] AND [garden chair, goods")
    assert "NOT [coffee cup, goods" in written
    assert either.startswith("([travel | ") and " OR [baby" in either and either.endswith(")")


def test_a_words_tag_is_carried_by_all_texts_that_hold_the_word(desk, encoder):
    (place,) = desk.tags.near(encoder.encode(["coffees"])[0], least=0.0)

    assert desk.tags.words[place] == "coffee"
    assert set(desk.tags.texts[place]) == {text for source in EVENT_SOURCES for text in texts_of("coffee", source)}
    assert desk.tags.near(encoder.encode(["quantum physics"])[0], least=0.0) == []
    assert desk.tags.near(encoder.encode(["coffees"])[0], least=0.99) == []


def test_a_tag_is_held_to_n_of_n_plus_one_and_not_is_the_complement(desk, users):
    text = texts_of("coffee", "bills")[0]
    tag = Behaviour("bills", "coffee chair", "past")
    counts = np.array([sum(key == text_key(text) for _, key, _ in events_of(users, row)) for row in range(24)])

    found, negated = (
        desk.executed(expression([(condition, (text,))]), users) for condition in (tag, replace(tag, negated=True))
    )

    assert counts.max() > 1
    np.testing.assert_allclose(found, counts / (counts + 1))
    np.testing.assert_allclose(negated, 1 - found)


def test_and_is_the_mean_or_the_maximum_and_a_tag_that_no_text_carries_is_left_out(desk, users):
    rome, gold = Profile("city", "Rome"), Profile("tier", "gold")
    is_rome, is_gold = (
        (users["profile_categories"][:, place] == text_key(value)).astype(float)
        for place, value in enumerate(("Rome", "gold"))
    )
    unknown = Behaviour("bills", "submarines")

    np.testing.assert_allclose(desk.executed(expression([rome], [gold]), users), (is_rome + is_gold) / 2)
    np.testing.assert_allclose(desk.executed(expression([rome, gold]), users), np.maximum(is_rome, is_gold))
    np.testing.assert_allclose(desk.executed(expression([rome], [unknown]), users), is_rome)
    np.testing.assert_allclose(desk.executed(expression([unknown]), users), np.zeros(24))
    assert set(CATEGORIES) >= {"Rome", "gold"}


def test_a_language_model_is_asked_first_where_one_is_at_hand(training, users, encoder):
    class Scripted(LanguageModel):
        def answer(self, chat):
            return '{"conditions": [{"kind": "profile", "column": "city", "value": "Rome"}]}'

    chosen = arallm_with(Scripted(encoder.tokenizer, None), name="arallm_plain", title="ARALLM, scripted")

    found = chosen.fit(training).scores(users, ["those of the old town"])

    assert (chosen.name, chosen.learns, chosen.gives) == ("arallm_plain", False, "a ranking")
    assert found[:, 0].tolist() == (users["profile_categories"][:, 0] == text_key("Rome")).astype(float).tolist()


@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        (Comparison(">", 30), lambda age: age > 30),
        (Comparison(">=", 30), lambda age: age >= 30),
        (Comparison("<", 30), lambda age: age < 30),
        (Comparison("<=", 30), lambda age: age <= 30),
        (Comparison("=", 30), lambda age: age == 30),
        (Comparison("between", 25, 35), lambda age: 25 <= age <= 35),
    ],
)
def test_profile_numbers_are_compared_and_a_missing_one_meets_nothing(desk, users, bound, expected):
    found = desk.executed(expression([Profile("age", comparison=bound)]), users)

    ages = users["profile_numbers"][:, 0]
    assert np.isnan(ages).any()
    assert found.tolist() == [float(expected(age)) for age in ages]


def test_a_past_window_counts_its_days_alone_and_anything_of_a_source_is_its_count(desk, users):
    recent = Behaviour("clicks", "", "past", window=Window(within_days=60))
    any_search = Behaviour("searches", "", "future")

    found, searched = (desk.executed(expression([c]), users) for c in (recent, any_search))

    for row in range(24):
        cutoff = int(users["cutoff_day"][row])
        clicks = sum(day >= cutoff - 60 for *_, day in events_of(users, row, ("clicks",)))
        searches = len(events_of(users, row, ("searches",)))
        assert found[row] == pytest.approx(clicks / (clicks + 1))
        assert searched[row] == pytest.approx(searches / (searches + 1))


def test_candidates_are_the_snapshots_columns_in_the_order_asked_and_strangers_have_none(tiny_pairs, tmp_path):
    users, pairs = some_users(12), open_pairs(tiny_pairs)
    names = [f"u{key}" for key in users["user_key"]]
    write_snapshot(Workdir(tmp_path), users, names, LATER)

    found = candidates(Workdir(tmp_path), LATER, ["u7", "ghost", "u1", "u12"], pairs)

    known = rows_of(found, np.array([0, 2, 3]))
    for name in known:
        np.testing.assert_array_equal(known[name], users[name][[6, 0, 11]], err_msg=name)
        assert known[name].dtype == users[name].dtype, name
    assert set(users) - set(found) == {"user_key", "future_text", "future_length"}
    stranger = nobody(COLUMNS) | {"cutoff_day": np.array([day_number(LATER)])}
    for name in found:
        np.testing.assert_array_equal(found[name][1:2], stranger[name], err_msg=name)
    assert history_keys(found).shape[0] == 4


def test_candidates_of_a_day_without_a_snapshot_are_refused(tiny_pairs, tmp_path):
    with pytest.raises(FoundError, match=r"no snapshot of 2020-01-01 in .*build_features.py --ds 2020-01-01"):
        candidates(Workdir(tmp_path), date(2020, 1, 1), ["u1"], open_pairs(tiny_pairs))
