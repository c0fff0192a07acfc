"""Bootstrap replicates equal the measures of the users really drawn, and all of a scenario's measures together."""

import math
import time

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score
from test_evaluation_measures import some

from feature_repo.contracts.errors import FoundError
from model.evaluation import calibration, ranking, thresholds
from model.evaluation.bootstrap import REPLICATES, Measured, generator, interval, measured, weightings
from model.evaluation.measures import MEASURES as ALL_MEASURES
from model.evaluation.measures import Candidates, measure, measure_specificity
from model.evaluation.metrics import specificity
from model.evaluation.ranking import rank

MEASURES = [name for name in ALL_MEASURES if name != "auc_hard"]
"""Of labels that mark no hard negatives."""


def of_everything(label: np.ndarray, score: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """Every measure of plain users, with scikit-learn where it has it."""
    by_score, by_p = rank(label, score), calibration.rank_by_probability(label, p)
    shared = thresholds.decide(by_score, thresholds.shared_size(0.2, len(label)))
    own = thresholds.decide(by_score, thresholds.own_size_R(by_p))
    return {
        "auc": roc_auc_score(label, score),
        "ks": ranking.ks_R(by_score)[0],
        "average_precision": average_precision_score(label, score),
        "precision_at_100": ranking.precision_at_R(by_score, 100)[0],
        "lift_10": ranking.lift_RD(by_score)[0, 0],
        "accuracy": shared.accuracy_R[0],
        "precision": shared.precision_R[0],
        "recall": shared.recall_R[0],
        "accuracy_own": own.accuracy_R[0],
        "precision_own": own.precision_R[0],
        "recall_own": own.recall_R[0],
        "brier": brier_score_loss(label, p),
        "brier_skill": calibration.brier_skill_R(by_p)[0],
        "ece": calibration.ece_R(by_p)[0],
        "size_ratio": p.sum() / label.sum(),
    }


def scenario(seed: int, name: str = "s", distinct: int = 10_000, users: int = 157) -> tuple[Candidates, dict, dict]:
    """Candidates, their scores and their probabilities."""
    label, score = some(seed, distinct, users)
    names = [f"u{i:04d}" for i in range(users)]
    candidates = Candidates.of(name, dict(zip(names, label.tolist(), strict=True)), fit_rate=0.2)
    scores = dict(zip(names, score.tolist(), strict=True))
    return candidates, scores, {user: value / 1.3 for user, value in scores.items()}


@pytest.mark.parametrize("distinct", [4, 10_000])
def test_every_measure_of_every_replicate_is_that_of_the_users_really_drawn(distinct):
    candidates, scores, chances = scenario(1, distinct=distinct)
    score, p = (np.array([values[user] for user in candidates.users]) for values in (scores, chances))
    found = measure(candidates, scores, chances, replicates=20).measures

    for number, weight in enumerate(weightings("s", candidates.label_N, 20)):
        drawn = np.repeat(np.arange(len(score)), weight.astype(int))
        expected = of_everything(candidates.label_N[drawn], score[drawn], p[drawn])
        assert expected.keys() == found.keys() == dict.fromkeys(MEASURES).keys()
        for name, value in expected.items():
            actual = found[name].replicate_R[number - 1] if number else found[name].value
            assert actual == pytest.approx(value, abs=1e-9), (name, number)


def test_a_resample_keeps_the_number_of_each_kind():
    label, _ = some(1)
    weight = weightings("s", label)

    assert weight.shape == (1 + REPLICATES, len(label)) and (weight[0] == 1).all()
    assert (weight[:, label == 1].sum(axis=1) == label.sum()).all()
    assert (weight[:, label == 0].sum(axis=1) == (1 - label).sum()).all()
    assert weight[1:].var() == pytest.approx(1, abs=0.05)


def test_resamples_are_named_by_the_scenario_alone():
    label, _ = some(1)

    np.testing.assert_array_equal(weightings("s", label), weightings("s", label))
    assert (weightings("s", label) != weightings("t", label)).any()
    assert generator("online_retail/1").integers(0, 1_000, 3).tolist() == [334, 832, 545]


def test_resamples_do_not_depend_on_the_order_in_which_users_come():
    candidates, scores, chances = scenario(2)
    turned = Candidates.of(
        "s", {u: int(y) for u, y in zip(candidates.users[::-1], candidates.label_N[::-1], strict=True)}, fit_rate=0.2
    )

    one, other = measure(candidates, scores, chances), measure(turned, dict(reversed(scores.items())), chances)

    assert one.candidates == other.candidates
    for name in MEASURES:
        np.testing.assert_array_equal(one.measures[name].replicate_R, other.measures[name].replicate_R)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng, hits, truth = np.random.default_rng(0), 0, 0.7601  # P(N(1, 1) > N(0, 1))
    for number in range(200):
        label = np.repeat([0, 1], [150, 60])
        values = ranking.auc_R(rank(label, rng.normal(size=210) + label, weightings(str(number), label)))
        low, high = interval(values[1:])
        hits += low <= truth <= high

    assert 180 <= hits <= 198


def test_what_is_kept_of_replicates_is_a_byte_each():
    values = np.random.default_rng(0).normal(0.8, 0.01, 200)
    kept = Measured(0.8, values).packed()
    back = Measured.unpacked(kept)

    assert len(kept["replicates"]) == 268
    assert back.value == 0.8
    assert np.abs(back.replicate_R - values).max() <= np.ptp(values) / 500
    np.testing.assert_allclose(back.interval(), interval(values), atol=np.ptp(values) / 500)


def test_replicates_that_are_all_the_same_survive():
    back = Measured.unpacked(Measured(1.0, np.ones(5)).packed())

    np.testing.assert_array_equal(back.replicate_R, np.ones(5))


def test_what_is_undefined_has_no_value_and_no_interval():
    found = measured(np.array([np.nan, 1, 2]))

    assert found.value is None and found.interval() is None
    assert Measured.unpacked(found.packed()).value is None


def test_all_measures_of_5000_users_stay_under_a_second():
    candidates, scores, chances = scenario(3, users=5_000)
    measure(candidates, scores, chances)
    started = time.process_time()
    measure(candidates, scores, chances)

    assert time.process_time() - started < 1  # 0.2 s measured; the rest is for a busy machine


# a scenario


def test_a_method_that_only_ranks_has_no_measures_of_probabilities():
    candidates, scores, _ = scenario(4)
    found = measure(candidates, scores)

    assert list(found.measures) == list(MEASURES)[:8]
    assert found.calibration == [] and len(found.lift) == 10
    assert (found.users, found.positives) == (157, candidates.label_N.sum())


def test_a_scenario_of_one_kind_keeps_what_is_defined():
    candidates = Candidates.of("s", dict.fromkeys("abc", 0), fit_rate=0.1)
    found = measure(candidates, dict(zip("abc", [1.0, 2.0, 3.0], strict=True))).measures

    assert {name for name, one in found.items() if one.value is not None} == {
        "precision_at_100",
        "accuracy",
        "precision",
    }


def test_a_candidate_without_score_is_named():
    candidates, scores, _ = scenario(5)
    del scores["u0007"]

    with pytest.raises(FoundError, match=r"scenario 's': 1 of 157 candidates have no score, 'u0007' is the first"):
        measure(candidates, scores)


def test_a_nan_names_its_scenario():
    candidates, scores, chances = scenario(5)

    with pytest.raises(FoundError, match=r"scenario 's': scores must be numbers; 1 of 157 are NaN"):
        measure(candidates, scores | {"u0003": math.nan})
    with pytest.raises(FoundError, match=r"scenario 's': probabilities lie between 0 and 1"):
        measure(candidates, scores, chances | {"u0003": 7.0})


def test_the_digest_names_users_and_labels():
    one, other, third = (Candidates.of("s", rows, fit_rate=0) for rows in ({"a": 1}, {"a": 0}, {"b": 1}))

    assert len({one.digest, other.digest, third.digest}) == 3


def test_specificity_has_the_value_of_its_definition_and_replicates_around_it():
    rng = np.random.default_rng(0)
    users = [f"u{i}" for i in range(300)]
    labels = {s: {u: int(rng.random() < 0.4) for u in users} for s in "abc"}
    scores = {s: {u: rng.random() + 0.5 * y for u, y in labels[s].items()} for s in "abc"}
    expected, count = specificity(scores, labels)

    found, pairs = measure_specificity([(scores, labels)])
    mixed, _ = measure_specificity([({s: scores[s] for s in "cab"}, labels)])

    assert (found.value, pairs) == (pytest.approx(expected), count)
    assert found.replicate_R.mean() == pytest.approx(expected, abs=0.01)
    np.testing.assert_array_equal(mixed.replicate_R, found.replicate_R)


def test_specificity_of_no_pair_is_undefined():
    found, pairs = measure_specificity([({"a": {"u": 1.0}}, {"a": {"u": 1}})])

    assert (found.value, pairs) == (None, 0)
