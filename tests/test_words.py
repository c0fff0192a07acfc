"""The telling words of a lake lead a demand."""

from hypothesis import given
from hypothesis import strategies as st

from model.words import MAX_WORDS, led, telling_words, words_of

TEXTS = ["RED garden chair, goods", "garden gnome, goods", "tea cup, goods", "coffee cup 42, goods", "lamp, goods"]


def test_words_are_lower_case_letters_without_function_words():
    assert words_of("The User bought 2 RED_garden Chairs for me") == ["bought", "red", "garden", "chairs"]


def test_a_word_of_most_texts_tells_nothing():
    assert telling_words(TEXTS) == ("chair", "coffee", "gnome", "lamp", "red", "tea")


def test_only_the_most_frequent_words_are_kept(monkeypatch):
    monkeypatch.setattr("model.words.MAX_WORDS", 1)
    texts = ["one apple", "one pear", "plum", "fig", "kiwi", "lime", "date", "nut"]
    assert telling_words(texts) == ("one",) and MAX_WORDS > 1


def test_a_demand_is_led_by_what_it_is_about():
    words = frozenset(telling_words(TEXTS))
    assert led("People about to buy a Red chair, a red one", words) == (
        "red chair: People about to buy a Red chair, a red one"
    )
    assert led("People about to move house", words) == "People about to move house"


@given(st.text())
def test_any_text_can_be_a_demand(demand):
    assert led(demand, frozenset(["chair"])).endswith(demand)
