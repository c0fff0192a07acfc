"""Prompt tuning: a few seed users move the sentence towards users like them."""

import numpy as np
import pytest
import torch
from model_pairs import LATER, TOPICS, demand_vectors, some_users
from test_zero_shot import scenario, write_run, write_scenarios

from feature_repo.contracts.errors import FoundError
from model import few_shot
from model.evaluation.few_shot import evaluate, table
from model.evaluation.metrics import auc
from model.evaluation.scenarios import read_labels, read_scenarios
from model.few_shot import answer_seeds, tune_prompt
from model.vectors import Users

DEMAND = "people we want to reach"


@pytest.fixture(scope="module")
def users(trained, texts):
    """Vectors of 64 users, and who has the first habit."""
    columns = some_users(64)
    active = columns["user_key"] % 8 > 0
    return trained.embed(columns, texts).vectors[active], (columns["user_key"] % len(TOPICS) == 1)[active]


@pytest.fixture(scope="module")
def seeds(users):
    vectors, is_positive = users
    return vectors[is_positive][:6], vectors[~is_positive][:6]


@pytest.fixture(scope="module")
def tuned(trained, seeds):
    return tune_prompt(trained, DEMAND, LATER, *seeds, 3).vector


def cosines(query, vectors):
    query, vectors = query[1:-1], vectors[:, 1:-1]
    return vectors @ query / np.linalg.norm(query) / np.linalg.norm(vectors, axis=1)


@pytest.mark.parametrize("demand", [DEMAND, ""])
def test_tuning_moves_the_sentence_closer_to_positives_than_to_negatives(trained, seeds, demand):
    before = demand_vectors(trained, [demand], LATER)[0]

    after = tune_prompt(trained, demand, LATER, *seeds, 0).vector

    def gap(query):
        return cosines(query, seeds[0]).mean() - cosines(query, seeds[1]).mean()

    assert after.shape == before.shape and np.isfinite(after).all() and after[0] == 1.0
    assert gap(after) > gap(before) + 0.05


def test_users_who_are_no_seeds_are_ranked_better_than_by_the_sentence(trained, users, tuned):
    vectors, is_positive = users
    rest = np.ones(len(vectors), bool)
    rest[np.flatnonzero(is_positive)[:6]] = rest[np.flatnonzero(~is_positive)[:6]] = False

    found = auc(is_positive[rest], cosines(tuned, vectors[rest]))

    assert found > 0.8
    assert found > auc(is_positive[rest], cosines(demand_vectors(trained, [DEMAND], LATER)[0], vectors[rest]))


def test_the_same_seed_gives_the_same_vector_and_another_another(trained, seeds, tuned):
    again, other = (tune_prompt(trained, DEMAND, LATER, *seeds, seed).vector for seed in (3, 4))

    np.testing.assert_array_equal(tuned, again)
    assert not np.array_equal(tuned, other)


def test_tuning_leaves_the_model_as_it_was(trained, seeds):
    before = {n: (p.detach().clone(), p.requires_grad) for n, p in trained.named_parameters()}

    tune_prompt(trained, DEMAND, LATER, seeds[0][:2], seeds[1][:2], 0)

    for name, parameter in trained.named_parameters():
        assert torch.equal(parameter, before[name][0]) and parameter.grad is None
        assert parameter.requires_grad == before[name][1]
    assert not trained.training


def test_one_seed_on_either_side_is_enough(trained, seeds):
    vector = tune_prompt(trained, DEMAND, LATER, seeds[0][:1], seeds[1][:1], 0).vector

    near, far = cosines(vector, seeds[0][:1])[0], cosines(vector, seeds[1][:1])[0]
    assert near > far


def test_the_season_of_the_day_enters_the_tuned_vector(trained, seeds, tuned):
    july = tune_prompt(trained, DEMAND, LATER.replace(month=7), *seeds, 3).vector

    np.testing.assert_array_equal(tuned[:-1], july[:-1])
    assert tuned[-1] != july[-1]


@pytest.mark.parametrize(("positives", "negatives"), [(0, 2), (2, 0), (0, 0)])
def test_seeds_are_needed_on_both_sides(trained, seeds, positives, negatives):
    with pytest.raises(FoundError) as refused:
        tune_prompt(trained, DEMAND, LATER, seeds[0][:positives], seeds[1][:negatives], 0)

    assert str(refused.value) == (
        f"prompt tuning needs seeds on both sides, found {positives} positives and {negatives} negatives."
    )


@pytest.fixture(scope="module")
def embedded(trained, texts):
    """Users with their texts, and who has the first habit."""
    columns = some_users(64)
    return trained.embed(columns, texts), (columns["user_key"] % len(TOPICS) == 1) & (columns["user_key"] % 8 > 0)


def chosen(users, rows):
    return Users(users.vectors[rows], [users.texts[row] for row in rows])


@pytest.mark.parametrize("demand", [DEMAND, ""])
def test_seeds_rank_users_who_are_no_seeds_better_than_the_sentence(trained, texts, embedded, demand):
    users, is_positive = embedded
    near, far = np.flatnonzero(is_positive), np.flatnonzero(~is_positive)

    answered = answer_seeds(trained, demand, LATER, chosen(users, near[:6]), chosen(users, far[:6]), users, texts)

    rest = np.concatenate([near[6:], far[6:]])
    others, labels = chosen(users, rest), is_positive[rest]
    before = auc(labels, trained.score(others, trained.read_demands([DEMAND], LATER)[0], texts))
    assert auc(labels, trained.score(others, answered, texts)) > before


def test_equation_14_looks_at_a_bounded_number_of_seeds(trained, seeds, monkeypatch):
    monkeypatch.setattr("model.few_shot.MOST_SEEDS", 3)
    looked = []
    loss = few_shot.triplet_loss

    def watched(query, near, far, *, margin):
        looked.append((len(near), len(far)))
        return loss(query, near, far, margin=margin)

    monkeypatch.setattr(few_shot, "triplet_loss", watched)

    tune_prompt(trained, DEMAND, LATER, *seeds, 0)

    assert set(looked) == {(3, 3)}


def test_the_evaluation_measures_the_gain_of_seeds(tmp_path, trained_folder, text_cache, embedded):
    users, _ = embedded
    folder = write_scenarios(tmp_path / "scenarios", [scenario(n) for n in (1, 2)], users=64)
    write_run(tmp_path / "runs", users, trained_folder, text_cache)
    fit, held_out = (read_labels(folder / "labels.parquet", split) for split in ("fit", "eval"))
    scenarios = read_scenarios(folder / "scenarios.yaml")

    report = evaluate(scenarios, fit, held_out, tmp_path / "runs", draws=3)

    assert [row["seeds"] for row in report["sizes"]] == [5, 15, 50] and report["draws"] == 3
    for row in report["sizes"]:
        assert row["gain"] == pytest.approx(np.mean(list(row["scenarios"].values())))
        low, high = row["interval"]
        assert low <= row["gain"] <= high
    assert table(report).splitlines()[0].startswith("few-shot, 5+5 seeds: mean AUC ")
    again = evaluate(scenarios, fit, held_out, tmp_path / "runs", draws=3)
    assert again == report
    assert evaluate(scenarios, {}, held_out, tmp_path / "runs") == {} and table({}) == ""
