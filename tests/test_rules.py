"""What a history decides of a demand: looked up in texts, days and profiles, equal to a loop over single events."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from model_pairs import LATER, all_texts, some_users

from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.templates import text_key
from feature_repo.contracts.windows import day_number
from model.rewriting.document import Amount, Behaviour, Comparison, Profile, Rewritten, Window
from model.rewriting.rules import Rules
from model.rewriting.topics import Topics, stem
from serving.conditions import Compiler
from serving.filters import filters_of

TEXTS = all_texts()
PROFILE = {"categorical": ["tier", "city"], "numeric": ["age"]}
USERS = some_users(60)


def rules_of(near=None) -> Rules:
    topics = Topics(np.array(list(map(text_key, TEXTS))), TEXTS, near)
    return Rules(topics, profile=PROFILE, currency="EUR")


@pytest.fixture(scope="module")
def rules():
    return rules_of()


def did(topic="", source="bills", **details):
    return Behaviour(source, topic, "past", **details)


def kept(rules, *conditions):
    return rules.decide(Rewritten("d", (), conditions), USERS).keep_B


def events(user, source):
    """(text key, day, amount) of a user's events, one by one."""
    count = USERS[f"{source}_length"][user]
    amounts = USERS["bills_amount"][user] if source == "bills" else np.zeros(99)
    return list(zip(USERS[f"{source}_text"][user][:count], USERS[f"{source}_day"][user][:count], amounts, strict=False))


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from(["garden", "coffee cups", "", "chairs"]),
    st.sampled_from(["bills", "clicks", "visits", "searches"]),
    st.booleans(),
    st.sampled_from([None, 10, 90]),
    st.sampled_from([None, 2]),
)
def test_a_condition_about_the_past_equals_a_loop_over_the_events(topic, source, negated, days, least):
    window = Window(within_days=days) if days else None
    count = Comparison(">=", least) if least else None
    found = kept(rules_of(), did(topic, source, negated=negated, window=window, count=count))

    words = {"garden": ["garden"], "coffee cups": ["coffee", "cup"], "": [], "chairs": ["chair"]}[topic]
    meant = {
        text_key(text) for text in TEXTS if all(word in text.split() or f"{word}," in text.split() for word in words)
    }
    for user, holds in enumerate(found):
        fitting = [
            key
            for key, day, _ in events(user, source)
            if (not words or key in meant) and (days is None or day_number(LATER) - day <= days)
        ]
        assert holds == ((len(fitting) >= (least or 1)) != negated)


BACK = [LATER - timedelta(days=days) for days in (200, 90, 40, 0)]
WINDOWS = st.one_of(
    st.none(),
    st.builds(Window, within_days=st.integers(1, 200)),
    st.builds(Window, since=st.sampled_from(BACK[:2]), until=st.sampled_from(BACK[2:])),
)
COUNTS = st.one_of(
    st.none(),
    st.builds(Comparison, st.sampled_from([">", ">=", "<", "<=", "="]), st.integers(0, 4).map(float)),
    st.builds(Comparison, st.just("between"), st.just(1.0), st.just(3.0)),
)


@settings(deadline=None, max_examples=100)
@given(
    topic=st.sampled_from(["garden", "coffee cups", "chairs"]),
    source=st.sampled_from(["", "bills", "clicks", "visits", "searches"]),
    negated=st.booleans(),
    window=WINDOWS,
    count=COUNTS,
)
def test_serving_checks_event_by_event_what_the_evaluation_decides(topic, source, negated, window, count):
    condition = did(topic, source, negated=negated, window=window, count=count)
    topics = Topics(np.array(list(map(text_key, TEXTS))), TEXTS, None)

    (rule,) = Compiler(filters_of((), LATER, ()), topics, "EUR").compiled([condition]).rules

    online = [
        [(name, int(day), int(key)) for name in EVENT_SOURCES for key, day, _ in events(user, name)]
        for user in range(60)
    ]
    assert [rule.holds(own) for own in online] == kept(rules_of(), condition).tolist()


def test_days_of_a_calendar_window_are_half_open(rules):
    since, until = LATER - timedelta(days=100), LATER - timedelta(days=50)
    found = kept(rules, did("", "visits", window=Window(since=since, until=until)))
    expected = [
        any(day_number(since) <= day < day_number(until) for _, day, _ in events(u, "visits")) for u in range(60)
    ]
    assert found.tolist() == expected and 0 < sum(expected) < 60
    early = kept(rules, did("", "visits", window=Window(until=date(2000, 1, 1))))
    assert not early.any()


def test_an_amount_is_what_the_fitting_purchases_add_up_to(rules):
    found = kept(rules, did("garden", amount=Amount(">", 100, currency="EUR")))
    garden = {text_key(text) for text in TEXTS if "garden" in text}
    spent = [sum(amount for key, _, amount in events(u, "bills") if key in garden) for u in range(60)]
    assert found.tolist() == [amount > 100 for amount in spent] and found.any()


def test_profiles_are_compared_by_value_and_number_and_a_null_meets_nothing(rules):
    rome = USERS["profile_categories"][:, 0] == text_key("Rome")
    np.testing.assert_array_equal(kept(rules, Profile("city", "Rome")), rome)
    np.testing.assert_array_equal(kept(rules, Profile("city", "Rome", negated=True)), ~rome)
    age = USERS["profile_numbers"][:, 0]
    for op, compared in ((">", age > 40), ("<=", age <= 40)):
        np.testing.assert_array_equal(kept(rules, Profile("age", comparison=Comparison(op, 40))), compared)
    between = kept(rules, Profile("age", comparison=Comparison("between", 30, 40)))
    np.testing.assert_array_equal(between, (age >= 30) & (age <= 40))
    assert not kept(rules, Profile("age", comparison=Comparison("<", 1_000)))[np.isnan(age)].any()


def test_groups_must_all_hold_and_of_a_group_one_is_enough(rules):
    garden, coffee = did("garden"), did("coffee")
    one, other = kept(rules, garden), kept(rules, coffee)
    np.testing.assert_array_equal(kept(rules, garden, did("coffee", joined="or")), one | other)
    np.testing.assert_array_equal(kept(rules, garden, did("coffee", negated=True)), one & ~other)


@pytest.mark.parametrize(
    "condition",
    [
        Behaviour("bills", "garden"),
        did("garden", channel="cash"),
        did("garden", amount=Amount(">", 5, currency="USD")),
        Profile("income", comparison=Comparison(">", 3)),
        Profile("gender", "female"),
        did("zeppelin"),
    ],
)
def test_what_no_history_decides_is_left_to_the_scores(rules, condition):
    decided = rules.decide(Rewritten("d", (), (did("coffee"), condition)), USERS)
    assert decided.rules == ((did("coffee"),),) and decided.left == ((condition,),)
    np.testing.assert_array_equal(decided.keep_B, kept(rules, did("coffee")))
    open_group = (did("coffee"), Behaviour("bills", "garden", joined="or"))
    whole = rules.decide(Rewritten("d", (), open_group), USERS)
    assert whole.keep_B.all() and whole.left == (open_group,), "half a group decides nothing"


def test_where_no_text_has_the_words_the_texts_near_to_them_stand_in_and_it_is_said(rules):
    cosines = np.array([0.7 * (text == "garden chair, goods") for text in TEXTS])
    odd = did("patio furniture")
    decided = rules_of(lambda topic: cosines).decide(Rewritten("d", (), (odd,)), USERS)
    chair = text_key("garden chair, goods")
    np.testing.assert_array_equal(decided.keep_B, (USERS["bills_text"] == chair).any(1))
    assert decided.guessed == (odd,) and decided.keep_B.any()
    assert rules.decide(Rewritten("d", (), (did("garden"),)), USERS).guessed == ()


def test_words_that_no_text_of_the_lake_has_are_left_out_and_it_is_said(rules):
    odd = did("treated themselves to garden chairs")
    decided = rules.decide(Rewritten("d", (), (odd,)), USERS)
    np.testing.assert_array_equal(decided.keep_B, kept(rules, did("garden chairs")))
    assert decided.guessed == (odd,) and decided.keep_B.any()


@pytest.mark.parametrize("pair", ["movie movies", "box boxes", "documentary documentaries", "glass glass", "cup cups"])
def test_singular_and_plural_are_one_word(pair):
    one, other = pair.split()
    assert stem(one) == stem(other)
    assert stem("glass") != stem("glad")
