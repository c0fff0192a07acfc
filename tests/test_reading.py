"""What a demand's words mean before anything is asked: its language, the texts about a topic, rules over events."""

from datetime import date

import numpy as np
import pytest

from model.rewriting.document import PAST, Behaviour
from model.rewriting.languages import other_language
from model.rewriting.topics import Topics, stems
from serving.conditions import Compiler
from serving.expressions import EVERYBODY
from serving.filters import filters_of
from serving.history import AnyRule, Rule, condition_of

ENGLISH = (
    *(
        "horror fans",
        "Families planning a picnic",
        "LA Lakers fans",
        "crème brûlée lovers",
        "café au lait drinkers",
        "tea",
    ),
    *(
        "fans of El laberinto del fauno",
        '"La vita è bella" fans',
        "users who will not buy a van",
        "Wholesale customers",
    ),
    *("Card holders who will be two or more months overdue", "customers who buy 抹茶 tea", "", "1234", "😀"),
)
FOREIGN = {
    "Kunden, die bald Tee kaufen": "German",
    "Kunden": "German",
    "des familles qui vont acheter un jouet": "French",
    "clientes que compran té": "Spanish",
    "pessoas que querem comprar chá": "Portuguese",
    "clienti che comprano il tè": "Italian",
    "Klanten die thee kopen": "Dutch",
    "kunder som vill köpa te": "Swedish",
    "klienci którzy kupią herbatę": "Polish",
    "müşteriler çay alacak": "Turkish",
    "клиенты, которые купят чай": "Cyrillic script",
    "客户会买茶": "Cjk script",
    "お茶を買う顧客": "Cjk script",
    "العملاء": "Arabic script",
}


@pytest.mark.parametrize("demand", ENGLISH)
def test_english_with_foreign_names_is_english(demand):
    assert other_language(demand) == ""


@pytest.mark.parametrize("demand", FOREIGN)
def test_another_language_is_named(demand):
    told = other_language(demand)
    assert told == FOREIGN[demand] or (told.endswith("script") and FOREIGN[demand].endswith("script"))


LAKE = ("green tea", "teapot", "Tea cups, kitchen", "baby food jars", "babies' boxes", "tent", "the and")


def topics(near=None) -> Topics:
    return Topics(np.arange(1, len(LAKE) + 1) * 10, LAKE, near)


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("tea", {"green tea", "Tea cups, kitchen"}),
        ("teas", {"green tea", "Tea cups, kitchen"}),
        ("cups of tea", {"Tea cups, kitchen"}),
        ("boxes for a baby", {"babies' boxes"}),
        ("box", {"babies' boxes"}),
        ("zeppelin", set()),
        ("", set()),
    ],
)
def test_the_texts_about_a_topic_hold_all_its_words_in_any_number(topic, expected):
    found = topics().about(topic)

    assert set(found.texts) == expected
    assert {LAKE[key // 10 - 1] for key in found.keys} == expected
    assert found.by_words == bool(expected)


def test_without_its_words_the_near_texts_are_about_a_topic():
    cosines = np.array([0.9, 0.8, 0.7, 0.2, 0.1, 0.5, 0.0])

    found = topics(lambda topic: cosines).about("infusion")

    assert (found.texts, found.by_words) == (("green tea", "teapot"), False)
    assert topics(lambda topic: cosines).knows("infusion") and not topics(lambda topic: cosines / 3).knows("infusion")
    assert topics(lambda topic: cosines / 2).about("infusion").keys == ()
    assert topics().knows("tea ceremony") and not topics().knows("infusion")


def test_words_that_no_text_has_are_left_out():
    found = topics().about("tea that they adore")

    assert (set(found.texts), found.by_words) == ({"green tea", "Tea cups, kitchen"}, False)
    assert topics().about("green tent").keys == (), "both words are known, and no text holds both"


def test_a_rule_by_near_texts_says_so():
    filters = filters_of((), date(2024, 6, 1), ())
    bought = [Behaviour("bills", topic, PAST) for topic in ("infusion", "tea")]

    found = Compiler(filters, topics(lambda topic: np.linspace(0.9, 0.1, len(LAKE))), "EUR").compiled(bought)

    assert [rule.guessed for each in found.rules for rule in each.rules] == [True, False]
    assert found.warnings == ("no text holds all words of: who bought 'infusion'; those nearest to it stand in",)


def test_stems_join_singular_and_plural():
    for one, many in (
        ("box", "boxes"),
        ("candle", "candles"),
        ("baby", "babies"),
        ("dress", "dresses"),
        ("tea", "teas"),
    ):
        assert stems(one) == stems(many), (one, many)
    assert stems("dress") != stems("dream")


EVENTS = (("bills", 100, 1), ("bills", 90, 1), ("searches", 95, 2), ("visits", 10, 3))


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        (Rule("", frozenset({1})), True),
        (Rule("", frozenset({9})), False),
        (Rule("", frozenset()), False),
        (Rule("", frozenset({1}), negated=True), False),
        (Rule("", frozenset({2}), "bills"), False),
        (Rule("", frozenset({1, 2}), "searches"), True),
        (Rule("", frozenset({1}), since=100), True),
        (Rule("", frozenset({1}), since=101), False),
        (Rule("", frozenset({1}), until=90), False),
        (Rule("", frozenset({1}), since=90, until=91, counted=lambda n: n == 1), True),
        (Rule("", frozenset({1}), counted=lambda n: n > 2), False),
        (Rule("", frozenset({1}), counted=lambda n: n > 2, negated=True), True),
    ],
)
def test_a_rule_counts_the_events_it_means(rule, holds):
    assert rule.holds(EVENTS) is holds
    assert AnyRule((rule, Rule("", frozenset({9})))).holds(EVENTS) is holds


def test_what_narrows_a_search_holds_of_everybody_for_whom_the_rule_does():
    simple, timed = Rule("", frozenset({2, 1})), Rule("", frozenset({1}), since=5)
    never, not_lately = Rule("", frozenset({1}), negated=True), Rule("", frozenset({1}), since=5, negated=True)
    few = Rule("", frozenset({1}), counted=lambda n: n < 3)

    assert condition_of(AnyRule((simple,)).having()).bound() == "array_contains_any(text_keys, [1, 2])"
    assert condition_of(AnyRule((timed,)).having()).bound() == "array_contains_any(text_keys, [1])"
    assert condition_of(AnyRule((never,)).having()).bound() == "not array_contains_any(text_keys, [1])"
    assert condition_of(AnyRule((simple, never)).having()).template.count(" or ") == 1
    for open_ended in (not_lately, few):
        assert (
            condition_of(AnyRule((open_ended,)).having())
            == condition_of(AnyRule((open_ended, simple)).having())
            == EVERYBODY
        )
    assert [AnyRule((r,)).is_simple for r in (simple, timed, never, not_lately, few)] == [
        True,
        False,
        True,
        False,
        False,
    ]
