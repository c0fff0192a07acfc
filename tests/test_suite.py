"""Every method is asked the same, sees no eval label, and what holds is not computed again."""

import json
import sys
from dataclasses import replace
from shutil import copytree

import numpy as np
import pytest
from evaluated_run import GHOST, USERS, evaluated_lake, scenario, write_run, write_scenarios
from model_pairs import CUTOFFS, LATER, TOPICS, some_users

from feature_repo.contracts.errors import FoundError
from model.baselines.protocol import Seeds
from model.baselines.training import NotApplicable
from model.evaluation.metrics import auc
from model.evaluation.results import read_all
from model.evaluation.scenarios import read_labels
from model.evaluation.suite.__main__ import main
from model.evaluation.suite.bench import FEW, places
from model.evaluation.suite.compute import Lake, compute
from model.evaluation.suite.families import ALL_LABELS, ZERO_SHOT, demands_with_labels, families
from model.evaluation.suite.probe import probe
from model.evaluation.suite.report import plan
from model.evaluation.suite.sources import PACKAGE, sources

QUICK = ("found", "recency", "nearest_texts", "gradient_boosting", "text_lm_history")


@pytest.fixture(scope="module")
def lake(tmp_path_factory, trained, trained_folder, texts, text_cache, tiny_pairs):
    users, root = some_users(USERS), tmp_path_factory.mktemp("lake")
    return evaluated_lake(root, users, trained.embed(users, texts), trained_folder, text_cache, tiny_pairs)


@pytest.fixture
def place(lake):
    (one,) = places(lake.scenarios, lake.fit, lake.held_out, lake.runs, 0)
    return one


def quick():
    return [family for family in families() if family.name in QUICK]


@pytest.fixture(scope="module")
def computed(lake, tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    compute(lake, quick(), folder, seeds=1)
    return folder


def test_a_place_has_every_labelled_user_once(place):
    assert len(place.users) == USERS + 1 == len(set(place.users)) and GHOST in place.users
    assert len(place.columns["cutoff_day"]) == len(place.embedded.vectors) == USERS + 1


def test_seeds_are_fit_labels_the_same_for_every_method_of_a_seed(place, lake):
    for chosen in place.scenarios:
        few, every = place.seeds(chosen, FEW), place.seeds(chosen)
        known = lake.fit[chosen.id]
        assert {place.users[row]: label for row, label in zip(every.rows, every.labels, strict=True)} == known
        positives = sum(known.values())
        assert few.labels.sum() == min(FEW, positives // 2) and (few.labels == 0).sum() == FEW
        assert set(few.rows) <= set(every.rows)
        np.testing.assert_array_equal(few.rows, place.seeds(chosen, FEW).rows)


def test_all_labels_say_how_many_do_it(place):
    model = place.run.model
    for chosen, demand in zip(place.scenarios, demands_with_labels(place), strict=True):
        seeds = place.seeds(chosen)
        score = model.score(place.embedded, demand, place.run.vectors)[seeds.rows]
        assert model.probabilities(score).mean() == pytest.approx(seeds.labels.mean(), abs=0.02)


def test_eval_labels_change_no_answer(place, lake):
    flipped = {name: {user: 1 - label for user, label in given.items()} for name, given in lake.held_out.items()}
    (other,) = places(lake.scenarios, lake.fit, flipped, lake.runs, 0)
    for family in quick():
        assert family.ask(place) == family.ask(other)


def test_what_is_kept_of_found_is_what_zero_shot_reports(place, computed, lake, trained, texts):
    (result,) = [r for r in read_all(computed) if r.what.method == "found"]
    for chosen, demand in zip(place.scenarios, trained.read_demands(place.demands, LATER), strict=True):
        score = dict(zip(place.users, trained.score(place.embedded, demand, texts), strict=True))
        labels = lake.held_out[chosen.id]
        expected = auc(np.array(list(labels.values())), np.array([score[user] for user in labels]))
        assert result.scenarios[chosen.id].measures["auc"].value == pytest.approx(expected, abs=1e-6)
    assert result.overall["specificity"].value > 0.5 and result.scenarios["s0"].measures["ece"].value is not None


def test_every_row_of_a_family_has_its_result(computed):
    expected = {row.name for family in quick() for row in family.rows}
    assert {result.what.method for result in read_all(computed)} == expected
    assert {"found+few", "text_lm_history-random", "gradient_boosting+fit"} < expected


def test_what_holds_is_not_computed_again(computed, lake):
    said = []
    compute(lake, quick(), computed, seeds=1, say=said.append)
    assert said == []
    (computed / "tiny" / "recency.0.json").unlink()
    compute(lake, quick(), computed, seeds=1, say=said.append)
    assert [line.split(":")[1].split()[0] for line in said] == ["recency"]


def test_a_lake_without_searches_says_why_a_row_is_absent(lake, tmp_path):
    def refuse(place):
        raise NotApplicable("nobody searches in this lake.")

    (searches,) = [family for family in families() if family.name == "text_lm_searches"]
    compute(lake, [replace(searches, ask=refuse)], tmp_path, seeds=1)
    assert {result.absent for result in read_all(tmp_path)} == {"nobody searches in this lake."}


def test_a_model_that_saw_the_future_is_refused(lake, tmp_path, trained, trained_folder, texts, text_cache):
    early = CUTOFFS[-1]
    write_run(tmp_path / "runs", trained.embed(some_users(8), texts), trained_folder, text_cache, cutoff=early)
    write_scenarios(tmp_path / "late" / "scenarios", [scenario(0, cutoff=early)])
    with pytest.raises(FoundError, match="the model was trained on futures that pass the scenario's cut-off"):
        compute(Lake.open(tmp_path / "late", tmp_path / "runs"), quick()[:1], tmp_path / "results", seeds=1)


def test_a_probe_separates_what_vectors_separate():
    rng = np.random.default_rng(0)
    label = np.arange(400) % 2
    vectors = rng.normal(size=(400, 12)) + 1.5 * label[:, None] * (np.arange(12) < 2)
    seeds = Seeds(np.arange(100), label[:100])
    assert auc(label[100:], probe(vectors, seeds, 0)[100:]) > 0.85
    few = Seeds(np.arange(4), label[:4])
    assert np.isfinite(probe(vectors, few, 0)).all()
    np.testing.assert_allclose(probe(vectors, seeds, 3), probe(vectors * 7 - 2, seeds, 3), rtol=1e-3, atol=1e-3)


def test_a_methods_code_is_all_that_it_imports_and_no_other_method():
    code = {family.name: {str(path.relative_to(PACKAGE)) for path in family.code} for family in families()}
    assert {"found.py", "late.py", "train.py", "seeds.py", "evaluation/suite/probe.py"} <= code["found"]
    assert {"baselines/cpc.py", "baselines/head.py", "losses.py", "sequence.py"} <= code["cpc"]
    assert not code["cpc"] & {"baselines/coles.py", "baselines/lurm.py", "found.py", "baselines/registry.py"}
    assert "lurm/encoder.py" in code["lurm"] and "lurm/encoder.py" not in code["recency"]


def test_a_module_imported_by_an_imported_module_counts(tmp_path, monkeypatch):
    for name, text in {
        "a": "from model import b",
        "b": "import model.c.d",
        "c/__init__": "",
        "c/d": "import os",
    }.items():
        path = tmp_path / "model" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr("model.evaluation.suite.sources.PACKAGE", tmp_path / "model")
    assert [path.stem for path in sources("model.a")] == ["a", "b", "d"]


def test_names_are_unique_and_every_twin_is_a_row():
    rows = [row for family in families() for row in family.rows]
    names = [row.name for row in rows]
    assert len(set(names)) == len(names) and {row.twin for row in rows if row.twin} <= set(names)
    assert plan(families(), ["shop"]).groups.keys() >= {ZERO_SHOT, ALL_LABELS}


def test_the_command_computes_and_writes_the_report(lake, tmp_path, monkeypatch, capsys):
    options = ["--results", tmp_path / "results", "--lake", lake.runs.parent / "tiny", "--runs", lake.runs]
    report = ["--text", tmp_path / "r.md", "--html", tmp_path / "r.html"]

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["suite", *map(str, arguments)])
        main()

    def exit_of(*arguments):
        with pytest.raises(SystemExit) as left:
            run(*arguments)
        return left.value.code

    few = ["--methods", "found,recency"]
    assert exit_of(*options, *few, "--pending") == 1
    run("--results", tmp_path / "nothing", *report)
    assert "not computed" not in (tmp_path / "r.md").read_text(), "no lake, no table"
    run(*options, *few, *report)
    assert exit_of(*options, *few, "--pending") == 0
    assert capsys.readouterr().out.startswith("tiny: 6 results and 4 notes to compute\n")
    text = (tmp_path / "r.md").read_text()
    assert "## How many will" in text and "| tiny | 1 |" in text
    assert "## The lakes" in text and "In other words" in text and "Under conditions" in text
    assert "| FOUND |" in text and "not computed yet" in text and "s2" in text
    page = (tmp_path / "r.html").read_text()
    assert "<html" in page and "with 5+5 seeds" in page and page.count("t-SNE of the directions") == 2
    assert json.loads((tmp_path / "results" / "tiny" / "found.0.json").read_text())["lake"] == "tiny"
    assert exit_of(*options, "--methods", "magic") == 2
    assert "unknown methods ['magic']; methods are ['ablation-behaviour', " in capsys.readouterr().err


def test_labels_of_the_eval_split_are_all_that_measures_see(lake, tmp_path):
    labels = read_labels(lake.runs.parent / "tiny" / "scenarios" / "labels.parquet", "eval")
    assert {s: len(c.users) for s, c in lake.candidates.items()} == {s: len(labels[s]) for s in labels}
    assert len(TOPICS) > len(labels) and lake.candidates["s0"].fit_rate == pytest.approx(
        np.mean(list(lake.fit["s0"].values()))
    )


def test_another_byte_of_the_lake_is_another_result(lake, tmp_path):
    copytree(lake.runs.parent / "tiny", tmp_path / "tiny")
    assert Lake.open(tmp_path / "tiny", lake.runs) == lake
    (tmp_path / "tiny" / "bills.parquet").write_bytes(b"x")
    assert Lake.open(tmp_path / "tiny", lake.runs).data != lake.data


def test_the_quick_results_are_computed_from_nothing_but_models_and_written(lake, tmp_path, monkeypatch):
    """What `make results-quick` asks of the suite, on the tiny models."""
    from serving.evaluate import QUICK as METHODS

    given = {"--lake": lake.runs.parent / "tiny", "--runs": lake.runs, "--results": tmp_path / "results"}
    given |= {"--methods": METHODS, "--seeds": 1, "--text": tmp_path / "r.md", "--html": tmp_path / "r.html"}
    monkeypatch.setattr(sys, "argv", ["suite", *(str(part) for pair in given.items() for part in pair)])
    main()
    done = {result.what.method for result in read_all(tmp_path / "results")}
    assert {name for name in METHODS.split(",")} <= done and not [r for r in read_all(tmp_path / "results") if r.absent]
    text = (tmp_path / "r.md").read_text()
    for part in ("## The lakes", "## When the sentence changes", "Demands that nobody meets", "FOUND, hard negatives"):
        assert part in text
