"""Why an audience is one: counts against a loop, the formula, and nothing told of an audience that is like the rest."""

import math
from statistics import NormalDist

import numpy as np
import pyarrow as pa
import pytest

from feature_repo.contracts.templates import text_key
from model.placed import Histories
from model.words import words_of
from serving.texts import TextTable
from serving.why import CHANCE, FEWEST_MEMBERS, MOST_TRAITS, PRIOR, TEXT, WORD, Rest, Things, traits

LAKE = tuple(f"{a} {b}" for a in ("garden", "baby", "travel") for b in ("chair", "bag", "blanket", "lamp"))


def table(texts=LAKE) -> TextTable:
    ordered = sorted(texts, key=text_key)
    return TextTable(np.array([text_key(t) for t in ordered], np.int64), pa.array(ordered))


def history(*texts: str) -> np.ndarray:
    return np.array(sorted({text_key(t) for t in texts}), np.int64)


def drawn(count: int, seed: int, texts=LAKE) -> list[np.ndarray]:
    g = np.random.default_rng(seed)
    return [history(*g.choice(texts, int(g.integers(0, 6)))) for _ in range(count)]


def histories(users) -> Histories:
    return Histories.of([(keys, np.ones(len(keys), np.float32)) for keys in users])


def counted(texts: TextTable, users) -> dict[tuple[str, str], int]:
    """What was done by anybody, and by how many."""
    own = histories(users)
    things = Things(texts, own.key_V)
    return {things.named(at): count for at, count in enumerate(things.counts(own).tolist()) if count}


def rest_of(texts: TextTable, users) -> Rest:
    return Rest(texts, list(users), histories(users.values()))


def told(rest: Rest, members):
    return rest.traits(list(members), histories(members.values()))


def told_of_one(did: int, members: int, others_did: int, others: int):
    """The traits of members of whom so many have the word "baby"."""
    things = Things(table(("baby",)), history("baby"))
    return traits(things, np.array([did, 0]), members, np.array([others_did, 0]), others)


@pytest.mark.parametrize("count", [0, 1, 64, 200])
def test_counts_are_those_of_a_loop(count):
    users = drawn(count, seed=count)

    found = counted(table(), users)

    said = {text_key(text): text for text in LAKE}
    expected: dict[tuple[str, str], int] = {}
    for keys in users:
        texts = [said[key] for key in keys.tolist()]
        words = {word for text in texts for word in words_of(text)}
        for thing in [*((TEXT, text) for text in texts), *((WORD, word) for word in words)]:
            expected[thing] = expected.get(thing, 0) + 1
    assert found == expected


def test_a_word_of_more_texts_than_a_byte_counts_is_one_word():
    texts = [f"baby item{at:03d}" for at in range(256)]

    assert counted(table(texts), [history(*texts)])[WORD, "baby"] == 1


def test_a_text_that_the_day_does_not_hold_is_not_counted():
    assert counted(table(LAKE[1:]), [history(LAKE[0]), history(*LAKE[:2])]) == {
        (TEXT, LAKE[1]): 1,
        (WORD, "garden"): 1,
        (WORD, "bag"): 1,
    }


def test_a_trait_is_told_when_the_lower_end_of_the_ratio_is_above_none():
    (found,) = told_of_one(30, 40, 96, 960)

    assert (found.kind, found.said, found.members, found.others) == (WORD, "baby", 0.75, 0.1)
    prior = PRIOR * 126.5 / 1_001
    assert found.lift == pytest.approx((30 + prior) / (40 + PRIOR) / ((96 + prior) / (960 + PRIOR)))
    a, b = 30 + prior, 96 + prior
    delta = math.log(a / (50 - a)) - math.log(b / (970 - b))
    error = math.sqrt(1 / a + 1 / (50 - a) + 1 / b + 1 / (970 - b))
    assert delta > NormalDist().inv_cdf(1 - CHANCE) * error


def test_what_few_members_did_or_all_do_alike_is_not_told():
    assert told_of_one(FEWEST_MEMBERS - 1, FEWEST_MEMBERS - 1, 0, 1_000) == ()
    assert told_of_one(9, 40, 200, 1_000) == ()
    assert told_of_one(40, 40, 1_000, 1_000) == ()
    assert told_of_one(2 * FEWEST_MEMBERS, 40, 0, 0) == ()


@pytest.mark.parametrize("seed", range(5))
def test_an_audience_drawn_at_random_has_no_traits(seed):
    users = {f"u{at}": keys for at, keys in enumerate(drawn(600, seed))}
    rest = rest_of(table(), users)

    assert told(rest, {user: users[user] for user in list(users)[:120]}) == ()


def test_members_are_compared_with_the_others_of_the_sample():
    fond = {f"f{at}": history("baby bag", "baby lamp") for at in range(30)}
    others = {f"o{at}": keys for at, keys in enumerate(drawn(300, 1))}
    rest = rest_of(table(), {**others, **fond})

    found = told(rest, fond)

    assert {trait.said for trait in found if trait.kind == WORD} == {"baby", "bag", "lamp"}
    assert {trait.said for trait in found if trait.kind == TEXT} == {"baby bag", "baby lamp"}
    assert all(trait.members == 1.0 and trait.others < 0.7 and trait.lift > 1.3 for trait in found)
    assert told(rest, {**others, **fond}) == ()


def test_no_more_than_a_few_are_told():
    texts = [f"thing{'abcdefgh'[at]}" for at in range(8)]
    rest = rest_of(table(texts), {f"o{at}": history() for at in range(500)})

    found = told(rest, {f"m{at}": history(*texts) for at in range(50)})

    assert [trait.kind for trait in found] == [WORD] * MOST_TRAITS + [TEXT] * MOST_TRAITS
