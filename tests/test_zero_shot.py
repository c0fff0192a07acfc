"""Scenarios are ranked by their sentence alone, and a model that saw their future is refused."""

import json
import math
import re
import sys
from dataclasses import replace

import numpy as np
import pytest
import yaml
from evaluated_run import GHOST, HORIZON, USERS, scenario, write_run, write_scenarios
from model_pairs import CUTOFFS, LATER, TOPICS, some_users

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import EMBEDDING, Workdir
from model.evaluation import zero_shot
from model.evaluation.__main__ import main
from model.evaluation.metrics import auc
from model.evaluation.scenarios import read_labels, read_scenarios
from model.evaluation.zero_shot import evaluate


@pytest.fixture(scope="module")
def users(trained, texts):
    return trained.embed(some_users(USERS), texts)


@pytest.fixture
def runs(tmp_path, users, trained_folder, text_cache):
    write_run(tmp_path / "runs", users, trained_folder, text_cache)
    return tmp_path / "runs"


def report_of(folder, runs):
    return evaluate(read_scenarios(folder / "scenarios.yaml"), read_labels(folder / "labels.parquet", "eval"), runs)


def test_the_report_is_the_auc_of_user_and_sentence_on_the_eval_split(tmp_path, runs, trained, users, texts):
    folder = write_scenarios(tmp_path / "scenarios", [scenario(n) for n in range(3)])

    report = report_of(folder, runs)

    labels = read_labels(folder / "labels.parquet", "eval")
    for number in range(3):
        demand, ghost = trained.read_demands([f"{TOPICS[number]} fans"], LATER)[0], trained.embed_stranger(LATER)
        score = {}
        for names, some in (([f"u{i + 1}" for i in range(USERS)], users), ([GHOST], ghost)):
            products = some.vectors.astype(np.float64) @ demand.vector.astype(np.float64)
            score |= dict(zip(names, trained.rescore(products, some.texts, texts, demand).tolist(), strict=True))
        own = labels[f"s{number}"]
        expected = auc(np.array(list(own.values())), np.array([score[u] for u in own]))
        row = report["scenarios"][f"s{number}"]
        assert row["auc"] == pytest.approx(expected, abs=1e-9)
        assert row["users"] == len(own) == 97 and row["base_rate"] == pytest.approx(24 / 97)
    assert report["mean_auc"] == pytest.approx(np.mean([r["auc"] for r in report["scenarios"].values()]))
    assert report["specificity_pairs"] == 3 and report["specificity"] > 0.5


def test_several_seeds_give_the_mean_and_the_spread(tmp_path, runs, users, trained_folder, text_cache):
    folder = write_scenarios(tmp_path / "scenarios", [scenario(n) for n in range(3)])
    backwards = replace(users, vectors=users.vectors[::-1].copy(), texts=users.texts[::-1])
    other = write_run(tmp_path / "other", backwards, trained_folder, text_cache)
    (runs / other.name / "seed-1").symlink_to(other)
    scenarios, labels = read_scenarios(folder / "scenarios.yaml"), read_labels(folder / "labels.parquet", "eval")

    report = evaluate(scenarios, labels, runs, seeds=2)

    one, two = evaluate(scenarios, labels, runs), evaluate(scenarios, labels, tmp_path / "other")
    assert report["seeds"] == [one, two] and one["mean_auc"] != two["mean_auc"]
    for found, a, b in (
        (report, one, two),
        *((report["scenarios"][i], one["scenarios"][i], two["scenarios"][i]) for i in one["scenarios"]),
    ):
        name = "mean_auc" if "mean_auc" in found else "auc"
        assert found[name] == pytest.approx((a[name] + b[name]) / 2)
        assert found[f"{name}_sd"] == pytest.approx(abs(a[name] - b[name]) / math.sqrt(2))
    assert report["specificity_pairs"] == 3
    last = zero_shot.table(report).splitlines()[-1]
    assert last.startswith(f"mean AUC {report['mean_auc']:.3f} ± {report['mean_auc_sd']:.3f}, specificity ")
    assert last.endswith("(3 pairs, 2 seeds)")


def test_what_is_for_reports_is_not_seen(tmp_path, runs):
    plain = [scenario(n) for n in range(3)]
    chatty = [d | {"label_rule": "habit", "users": 1, "base_rate": 0.9, "hint": "u4"} for d in plain]
    folder = write_scenarios(tmp_path / "scenarios", chatty)
    full = report_of(folder, runs)
    (folder / "scenarios.yaml").write_text(yaml.safe_dump(plain))

    assert report_of(folder, runs) == full


def test_the_domain_may_be_missing(tmp_path, runs):
    plain = [{k: v for k, v in scenario(n).items() if k != "domain"} for n in range(3)]
    folder = write_scenarios(tmp_path / "scenarios", plain)

    assert len(report_of(folder, runs)["scenarios"]) == 3


def test_a_user_without_history_is_scored_not_dropped(tmp_path, runs):
    folder = write_scenarios(tmp_path / "scenarios", [scenario(1)])
    labels = read_labels(folder / "labels.parquet", "eval")

    scores = zero_shot._scores(read_scenarios(folder / "scenarios.yaml"), labels, Workdir(runs / f"{LATER}_{HORIZON}d"))

    assert list(scores[0]) == list(labels["s1"]) and math.isfinite(scores[0][GHOST])


def test_too_few_users_for_a_pair_give_no_specificity(tmp_path, runs):
    folder = write_scenarios(tmp_path / "scenarios", [scenario(n) for n in range(2)], users=40)

    report = report_of(folder, runs)

    assert report["specificity"] is None and report["specificity_pairs"] == 0
    assert "specificity - (0 pairs)" in zero_shot.table(report)


def test_a_model_that_saw_the_future_of_a_scenario_is_refused(tmp_path, users, trained_folder, text_cache):
    early = CUTOFFS[-1]
    write_run(tmp_path / "runs", users, trained_folder, text_cache, cutoff=early)
    folder = write_scenarios(tmp_path / "scenarios", [scenario(0, cutoff=early)])

    with pytest.raises(FoundError) as refused:
        report_of(folder, tmp_path / "runs")
    assert str(refused.value) == (
        f"the model was trained on futures that pass the scenario's cut-off {early}: those of the cut-offs "
        f"['{early}'] reach 30 days ahead. Train on earlier ones (build_pairs.py --until {early})."
    )


def test_a_missing_model_or_embedding_says_what_to_run(tmp_path, runs):
    folder = write_scenarios(tmp_path / "scenarios", [scenario(0)])

    with pytest.raises(FoundError, match=r"no current model in .*: run `found evaluate`, which trains it\."):
        report_of(folder, tmp_path / "elsewhere")
    partition = Workdir(runs / f"{LATER}_{HORIZON}d").partition(EMBEDDING, LATER)
    partition.rename(partition.with_name("ds=2000-01-01"))
    with pytest.raises(FoundError, match=rf"no embeddings of {LATER} in .*: run spark_jobs/embed_users.py --ds"):
        report_of(folder, runs)


@pytest.mark.parametrize("spoil", [{"cutoff": "soon"}, {"horizon_days": "long"}, {"demand": None, "id": None}])
def test_a_scenario_that_cannot_be_read_is_refused(tmp_path, spoil):
    document = {k: v for k, v in (scenario(0) | spoil).items() if v is not None}
    folder = write_scenarios(tmp_path / "scenarios", [scenario(0)])
    (folder / "scenarios.yaml").write_text(yaml.safe_dump([document]))

    with pytest.raises(FoundError, match=r"scenario 1(: cutoff is a date| must have id, demand)"):
        read_scenarios(folder / "scenarios.yaml")


def test_the_command_writes_the_report_and_prints_the_table(tmp_path, runs, monkeypatch, capsys):
    folder = write_scenarios(tmp_path / "scenarios", [scenario(n) for n in range(3)])
    out = tmp_path / "evaluation.json"
    monkeypatch.setattr(sys, "argv", ["zero_shot", "--scenarios", str(folder), "--runs", str(runs), "--out", str(out)])

    main()

    report = json.loads(out.read_text())["zero_shot"]
    assert set(report) >= {"mean_auc", "specificity", "scenarios"} and set(report["scenarios"]) == {"s0", "s1", "s2"}
    assert f"mean AUC {report['mean_auc']:.3f}" in capsys.readouterr().out
    assert [p.name for p in tmp_path.glob(".evaluation*")] == []


def test_the_command_prints_an_error_in_one_line_and_exits_with_2(tmp_path, monkeypatch, capsys):
    folder = write_scenarios(tmp_path / "scenarios", [scenario(0)])
    arguments = ["--scenarios", str(folder), "--runs", str(tmp_path / "none"), "--out", str(tmp_path / "out.json")]
    monkeypatch.setattr(sys, "argv", ["zero_shot", *arguments])

    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2 and capsys.readouterr().err.startswith("error: no current model in ")
    assert not (tmp_path / "out.json").exists()


def test_a_scenario_that_nobody_meets_has_no_auc_and_no_part_in_the_mean(tmp_path, runs):
    folder = write_scenarios(tmp_path / "scenarios", [scenario(n) for n in range(3)])
    scenarios, labels = read_scenarios(folder / "scenarios.yaml"), read_labels(folder / "labels.parquet", "eval")
    labels[scenarios[0].id] = dict.fromkeys(labels[scenarios[0].id], 0)

    report = evaluate(scenarios, labels, runs)

    others = [report["scenarios"][each.id]["auc"] for each in scenarios[1:]]
    assert report["scenarios"][scenarios[0].id]["auc"] is None
    assert report["mean_auc"] == pytest.approx(sum(others) / 2)
    json.dumps(report, allow_nan=False)
    assert re.search(rf"{scenarios[0].id} +\d+ +0\.000 +-\n", zero_shot.table(report))
