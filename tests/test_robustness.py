"""Other words for a demand, conditions that a lake's topics make, demands that nobody meets."""

import re

import numpy as np
import pytest
import yaml
from model_pairs import LATER, all_texts, some_users

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.templates import text_key
from model.concepts import PHRASES
from model.evaluation.robustness.demands import (
    COMMON,
    KINDS,
    LAST_DAYS,
    LATELY,
    NEVER,
    NOT_LATELY,
    Topics,
    strange_things,
)
from model.evaluation.robustness.measure import in_other_words, of_nobody, under_conditions
from model.evaluation.robustness.paraphrases import COUNT, paraphrases, read_paraphrases
from model.evaluation.scenarios import Scenario
from model.rewriting import topics as topics_of_rules
from model.rewriting.document import Behaviour, Rewritten
from model.rewriting.rules import Rules

DEMANDS = (
    "Customers who will buy tea",
    "Families planning a picnic",
    "Horror fans",
    "Lovers of old maps",
    "People interested in sailing and rowing",
    "Wholesale customers who will spend more than 1000 pounds",
    "Card holders who will be two months overdue",
    "people that have a dog",
    "?",
    "garden",
)
TEXTS = {text_key(text): text for text in all_texts()}
USERS = some_users(80)
NAMES = [f"u{n}" for n in range(80)]


@pytest.mark.parametrize("demand", DEMANDS)
def test_paraphrases_are_five_other_sentences_that_keep_what_is_asked_for(demand):
    found = paraphrases(demand)
    assert len(set(found)) == COUNT == 5 and demand not in found and found == paraphrases(demand)
    thing = re.findall(r"\w+", demand)[-1:] if "fans" not in demand else ["horror"]
    assert all(word.lower() in each.lower() for word in thing for each in found)


@pytest.mark.parametrize("demand", DEMANDS)
def test_no_paraphrase_has_the_form_of_a_sentence_that_alignment_trains_on(demand):
    trained = [re.compile(re.escape(phrase).replace(r"\{\}", "(.+)"), re.I) for phrase in PHRASES]
    assert not [each for each in paraphrases(demand) for form in trained if form.fullmatch(each)]


def test_every_paraphrase_says_something_in_other_words_than_the_demand_and_each_other():
    found = [set(each.lower().split()) for each in paraphrases("Customers who will buy tea")]
    for one in found:
        assert len(one - set("customers who will buy tea".split())) >= 3
        assert all(len(one ^ other) >= 4 for other in found if other is not one)


def test_people_and_what_they_do_are_told_apart():
    assert paraphrases("Customers who are going to buy tea.")[0] == "Which people would buy tea?"
    assert "thinking of a picnic" in paraphrases("Families planning a picnic")[1]
    assert "wholesale customers" in paraphrases("Wholesale customers who will order tea")[0]


def test_a_lake_may_bring_its_own(tmp_path):
    path = tmp_path / "scenarios.yaml"
    path.write_text(yaml.safe_dump([{"id": "a", "paraphrases": ["x y", "z"]}, {"id": "b"}]))
    assert read_paraphrases(path) == {"a": ("x y", "z")}
    path.write_text(yaml.safe_dump([{"id": "a", "paraphrases": "x"}]))
    with pytest.raises(FoundError, match="of scenario 'a' must be a list of two or more sentences, found 'x'"):
        read_paraphrases(path)


def scenarios(*demands):
    return [Scenario(f"s{n}", demand, LATER, 30, "") for n, demand in enumerate(demands)]


def labels_of(given):
    rng = np.random.default_rng(0)
    return {s.id: dict(zip(NAMES, rng.integers(0, 2, 80).tolist(), strict=True)) for s in given}


def test_a_method_that_ignores_the_sentence_agrees_with_itself_on_every_demand_and_is_not_specific():
    given = scenarios("Customers who will buy tea", "Horror fans")
    fixed = np.random.default_rng(1).normal(size=80)
    found = in_other_words(lambda d: np.stack([fixed] * len(d), 1), given, NAMES, labels_of(given), {})
    assert found["agreement"] == pytest.approx(1) and found["different_demands"] == pytest.approx(1)
    assert found["specificity"] in (None, 0.5) and found["scenarios"]["s0"]["source"] == "rules of grammar"


def test_a_method_that_draws_lots_for_each_sentence_does_not_agree():
    given = scenarios("Customers who will buy tea")
    rng = np.random.default_rng(2)
    own = {"s0": ["a", "b", "c"]}
    found = in_other_words(lambda d: rng.normal(size=(80, len(d))), given, NAMES, labels_of(given), own)
    assert abs(found["agreement"]) < 0.2 and len(found["scenarios"]["s0"]["auc"]) == 3
    assert found["scenarios"]["s0"]["source"] == "the lake's own" and found["different_demands"] is None


def test_a_condition_is_broken_by_whoever_has_the_topic_in_the_history():
    topics = Topics(USERS, TEXTS, ["bills"])
    for kind in KINDS:
        for user, breaks in enumerate(topics.breaks("bills", kind, "garden")):
            days = [
                USERS["cutoff_day"][user] - day
                for key, day in zip(USERS["bills_text"][user], USERS["bills_day"][user], strict=True)
                if "garden" in TEXTS.get(int(key), "")
            ]
            lately = any(ago <= LAST_DAYS for ago in days)
            assert breaks == {NEVER: bool(days), NOT_LATELY: lately, LATELY: not lately}[kind]


def test_conditions_are_about_topics_that_matter_and_the_same_every_time():
    topics = Topics(USERS, TEXTS, ["bills", "visits"])
    found = list(topics.conditioned("shop/s0", "Garden lovers"))
    assert found and {one.kind for one in found} == set(KINDS) and len({one.phrasings for one in found}) == 2
    assert [one.sentence for one in found] == [one.sentence for one in topics.conditioned("shop/s0", "Garden lovers")]
    for one in found:
        assert one.topic != "garden" and one.topic in one.sentence and one.sentence.startswith("Garden lovers, ")
        assert COMMON[0] <= one.breaks_B.mean() <= 1 - COMMON[0]


def test_rules_keep_violators_out_where_the_sentence_alone_does_not():
    topics = Topics(USERS, TEXTS, ["bills"])
    (asked, *_) = [one for one in topics.conditioned("shop/s0", "Garden lovers") if one.kind == NEVER]
    meant = topics_of_rules.Topics(np.array(list(TEXTS)), list(TEXTS.values()))
    rules = Rules(meant, profile={"categorical": [], "numeric": []}, currency="")

    def rewrite(sentence):
        return Rewritten(sentence, (), (Behaviour("bills", asked.topic, "past", negated=True),))

    liked = asked.breaks_B + np.random.default_rng(0).normal(0, 0.1, 80)

    def ask(demands):
        return np.stack([liked] * len(demands), 1)

    labels = labels_of(scenarios("Garden lovers"))
    given = (ask, {"s0": [asked]}, NAMES, USERS, labels, {"s0": 0.1}, rules)
    (found,) = under_conditions(*given, rewrite)
    assert found["without"] == 1.0 and found["with"] == 0.0 and found["rules"] == 1 and found["guessed"] == 0
    assert found["auc_with"] > found["auc_without"]
    (found,) = under_conditions(*given, Rewritten)
    assert found["with"] == found["without"] == 1.0 and found["rules"] == 0


def test_what_nobody_meets_is_told_beside_the_lakes_own_demands():
    given = scenarios("Garden lovers")
    found = of_nobody(lambda d: np.zeros((80, len(d))), given, list(TEXTS.values()), Rewritten)
    assert {one["kind"] for one in found} == {"demand", "unknown thing", "language"}
    assert all(one["probability"] == 0.5 and one["size"] == 40 and one["near_texts"] == 0 for one in found)
    assert "lighthouse lenses" not in strange_things(["A lighthouse"]) and strange_things([])
