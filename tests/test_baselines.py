"""Every baseline keeps one protocol, and what it learns beats the same network at random weights."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from model_pairs import COLUMNS, LATER, TOPICS, some_users

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.windows import day_number
from model.baselines.loop import optimise
from model.baselines.protocol import LOG_ODDS, Embedder, Ranker, SeedRanker, Seeds, answers
from model.baselines.registry import METHODS, method
from model.baselines.training import MOST_PAIRS, Effort, NotApplicable, open_training
from model.batch import nobody
from model.config import Optimisation
from model.data import open_pairs, rows_of
from model.evaluation.metrics import auc
from model.recipes import tiny
from model.text_cache import CachedEncoder

USERS = 60
DEMANDS = [f"Customers who will buy a {topic} chair" for topic in TOPICS]
SOME_EFFORT = Effort(pretraining=0.04, alignment=0.05)
FULL_EFFORT = Effort(pretraining=0.3, alignment=0.5)
NAMES = [known.name for known in METHODS]
LEARNING = [known.name for known in METHODS if known.learns]


@pytest.fixture(scope="module")
def training(tiny_pairs, encoder, text_cache):
    return replace(open_training(open_pairs(tiny_pairs), CachedEncoder(text_cache, encoder), 0), recipe=tiny())


@pytest.fixture(scope="module")
def users():
    """USERS users and, last, one of whom nothing is known; without what comes after the cut-off."""
    known, stranger = some_users(USERS), nobody(COLUMNS)
    stranger["cutoff_day"][:] = day_number(LATER)
    both = {name: np.concatenate([known[name], stranger[name]]) for name in known}
    return {name: values for name, values in both.items() if not name.startswith("future_")}


def happens() -> np.ndarray:
    """[users, topics]: whose habit is which topic; the stranger has none."""
    keys = np.arange(1, USERS + 1)
    return np.concatenate([keys[:, None] % len(TOPICS) == np.arange(len(TOPICS)), np.zeros((1, len(TOPICS)), bool)])


def seeds() -> list[Seeds]:
    """Two users of three, labelled."""
    rows = np.flatnonzero(np.arange(USERS) % 3)
    return [Seeds(rows, label[rows].astype(int)) for label in happens().T]


def mean_auc(scores: np.ndarray) -> float:
    return float(np.mean([auc(label.astype(int), score) for label, score in zip(happens().T, scores.T, strict=True)]))


@pytest.mark.parametrize("name", NAMES)
def test_every_user_gets_a_finite_score_and_the_same_seed_the_same_one(training, users, name):
    chosen = method(name)
    quick = replace(training, effort=SOME_EFFORT)

    ranker = chosen.fit(quick)
    scores = answers(ranker, users, DEMANDS, seeds())

    assert scores.shape == (USERS + 1, len(DEMANDS)) and scores.dtype == np.float64
    assert np.isfinite(scores).all()
    assert isinstance(ranker, SeedRanker if chosen.needs_seeds else Ranker)
    np.testing.assert_array_equal(answers(chosen.fit(quick), users, DEMANDS, seeds()), scores)


@pytest.mark.parametrize(
    "name", [known.name for known in METHODS if not known.needs_seeds and known.name != "heuristic"]
)
def test_a_score_depends_on_the_user_alone(training, users, name):
    ranker = method(name).twin(training)
    order = np.random.default_rng(0).permutation(USERS + 1)[:20]

    alone = answers(ranker, rows_of(users, order), DEMANDS)

    np.testing.assert_allclose(alone, answers(ranker, users, DEMANDS)[order], atol=2e-5)


@pytest.mark.parametrize("name", LEARNING)
def test_what_is_learned_beats_chance_and_the_random_twin(training, users, name):
    chosen = method(name)

    learned = mean_auc(answers(chosen.fit(replace(training, effort=FULL_EFFORT)), users, DEMANDS, seeds()))
    twin = mean_auc(answers(chosen.twin(training), users, DEMANDS, seeds()))

    assert learned > max(0.5, twin) + 0.02, (learned, twin)


@pytest.mark.parametrize(
    ("name", "least"), [("nearest_texts", 0.8), ("heuristic", 0.55), ("gradient_boosting", 0.8), ("arallm", 0.8)]
)
def test_what_reads_the_sentence_finds_the_topic(training, users, name, least):
    assert mean_auc(answers(method(name).fit(training), users, DEMANDS, seeds())) > least


def test_ten_labels_grow_trees_too(training, users):
    kept = [
        np.flatnonzero(given.labels == 1)[:5].tolist() + np.flatnonzero(given.labels == 0)[:5].tolist()
        for given in seeds()
    ]
    few = [Seeds(given.rows[rows], given.labels[rows]) for given, rows in zip(seeds(), kept, strict=True)]

    assert mean_auc(answers(method("gradient_boosting").fit(training), users, DEMANDS, few)) > 0.7


@pytest.mark.parametrize("name", LEARNING)
def test_pre_trained_vectors_are_there_for_probes(training, users, name):
    ranker = method(name).twin(training)

    assert isinstance(ranker, Embedder)
    vectors = ranker.vectors(users)
    assert vectors.dtype == np.float32 and vectors.shape[0] == USERS + 1 and np.isfinite(vectors).all()


def test_a_random_encoder_behind_a_trained_head_is_another_model_than_the_twin(training, users):
    quick = replace(training, effort=SOME_EFFORT)

    whole, headed, twin = (
        answers(ranker, users, DEMANDS)
        for ranker in (method("cpc").fit(quick), method("cpc").unpretrained(quick), method("cpc").twin(quick))
    )

    assert not np.allclose(whole, headed) and not np.allclose(headed, twin)


def test_another_seed_learns_something_else(training, users):
    quick = replace(training, effort=SOME_EFFORT)

    one, other = (answers(method("cpc").fit(replace(quick, seed=seed)), users, DEMANDS) for seed in (0, 1))

    assert not np.allclose(one, other)


def test_fitting_leaves_the_callers_generator_and_mode_alone(training):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)

    method("lurm").fit(replace(training, effort=SOME_EFFORT))

    torch.testing.assert_close(torch.rand(3), expected)
    assert not torch.are_deterministic_algorithms_enabled()


def test_methods_have_names_sources_and_a_property_to_show():
    assert len(set(NAMES)) == len(NAMES)
    for known in METHODS:
        assert known.title and known.source and known.known_property.startswith("mean AUC above")
        assert known.gives == LOG_ODDS or not known.learns


def test_an_unknown_method_is_refused_with_those_there_are():
    with pytest.raises(FoundError, match=r"unknown baseline 'magic'; baselines are \['recency', 'frequency'"):
        method("magic")


def test_a_method_that_learns_from_labels_asks_for_them(training, users):
    ranker = method("gradient_boosting").fit(training)

    with pytest.raises(FoundError, match=r"expected seeds for each of 4 demands, found 0\. Give those"):
        answers(ranker, users, DEMANDS)


@pytest.mark.parametrize(
    ("rows", "labels", "found"),
    [
        ([1, 2], [1, 1], r"2 rows, 2 labels of the kinds \[1\]"),
        ([1], [0, 1], "1 rows, 2 labels"),
        ([1, 2], [0, 2], r"kinds \[0, 2\]"),
    ],
)
def test_seeds_are_of_both_kinds(rows, labels, found):
    with pytest.raises(FoundError, match=found):
        Seeds(np.array(rows), np.array(labels))


def test_a_lake_without_searches_or_behaviour_has_no_such_row(training):
    silent = dict(training.columns)
    for source in ("bills", "clicks", "visits", "searches"):
        silent[f"{source}_length"] = np.zeros_like(silent[f"{source}_length"])
    nothing = replace(training, columns=silent)

    with pytest.raises(NotApplicable, match="nobody of this lake's pairs searched"):
        method("text_lm_searches").fit(nothing)
    with pytest.raises(NotApplicable, match="neither bills nor clicks nor visits"):
        method("cpc").fit(nothing)


def test_of_too_many_pairs_the_same_sample_is_read_by_every_method(tiny_pairs, encoder, text_cache, monkeypatch):
    monkeypatch.setattr("model.baselines.training.MOST_PAIRS", 40)
    cached = CachedEncoder(text_cache, encoder)

    one, same, other = (open_training(open_pairs(tiny_pairs), cached, seed) for seed in (1, 1, 2))

    assert MOST_PAIRS == 50_000 and len(one) == 40
    np.testing.assert_array_equal(one.columns["user_key"], same.columns["user_key"])
    assert (one.columns["user_key"] != other.columns["user_key"]).any()


def test_newest_has_each_user_once_at_their_last_cutoff(training):
    twice = {n: np.concatenate([v, v]) for n, v in training.columns.items()}
    twice["cutoff_day"] = twice["cutoff_day"] + np.repeat([0, 7], len(training)).astype(np.int32)

    newest = replace(training, columns=twice).newest()

    assert sorted(newest["user_key"]) == sorted(training.columns["user_key"])
    by_key = dict(zip(newest["user_key"], newest["cutoff_day"], strict=True))
    assert all(
        by_key[key] == day + 7
        for key, day in zip(training.columns["user_key"], training.columns["cutoff_day"], strict=True)
    )


def test_a_loss_that_is_not_finite_is_refused():
    module = torch.nn.Linear(1, 1)

    with pytest.raises(FoundError, match="the loss of step 0 is nan: lower the learning rate"):
        optimise(
            module,
            lambda batch, draw: module.weight.sum() * float("nan"),
            rows=4,
            optimisation=Optimisation(steps=2, batch_users=2, learning_rate=1e-3),
            effort=1.0,
            seed=0,
        )
