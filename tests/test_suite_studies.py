"""Ablations and transfer train in full on what they may see, are scored like FOUND, and have tables of their own."""

import json
import sys
from datetime import date
from shutil import copytree

import numpy as np
import pytest
from evaluated_run import USERS, evaluated_lake
from model_pairs import some_users

from feature_repo.contracts.errors import FoundError
from model.baselines.training import NotApplicable
from model.evaluation.results import read_all
from model.evaluation.suite.__main__ import main
from model.evaluation.suite.ablations import ABLATIONS, PREFIX, VARIANTS, refuse_pointless, sources_of
from model.evaluation.suite.bench import places
from model.evaluation.suite.compute import compute, pending
from model.evaluation.suite.families import training_seconds
from model.evaluation.suite.registry import chosen, registry
from model.evaluation.suite.report import plan
from model.evaluation.suite.transfer import TrainLake, led_by, rows_among, transfers
from model.evaluation.variants.fit import answer
from model.found import FoundModel
from model.pointers import current
from model.records import RECORD

QUICK = ("behaviour", "profiles", "infonce", "past_text")


@pytest.fixture(scope="module")
def lake(tmp_path_factory, trained, trained_folder, texts, text_cache, tiny_pairs):
    users, root = some_users(USERS), tmp_path_factory.mktemp("lake")
    return evaluated_lake(root, users, trained.embed(users, texts), trained_folder, text_cache, tiny_pairs)


@pytest.fixture(scope="module")
def place(lake):
    (one,) = places(lake.scenarios, lake.fit, lake.held_out, lake.runs, 0)
    return one


def named(*names):
    return [family for family in registry() if family.name in names]


def test_the_model_as_it_is_gives_the_answers_that_its_embeddings_give(place, trained):
    vectors, day = trained.text_vectors(place.work.text_cache), place.scenarios[0].cutoff
    scores = answer(trained, place.columns, vectors, place.demands, day)
    asked = zip(scores.T, trained.read_demands(place.demands, day), strict=True)
    for score_B, demand in asked:
        np.testing.assert_allclose(score_B, trained.score(place.embedded, demand, vectors), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", QUICK)
def test_an_ablation_answers_for_every_candidate_and_leaves_nothing_behind(name, place):
    (family,) = named(PREFIX + name)
    answers = family.ask(place)[family.name]
    assert {s: set(given) for s, given in answers.items()} == {s.id: set(place.users) for s in place.scenarios}
    scores = np.array([list(given.values()) for given in answers.values()])
    assert np.isfinite(scores).all() and scores.std(axis=1).min() > 0
    assert not list((place.work.root / "variants").iterdir())


def test_an_ablation_is_the_same_again_and_not_what_found_says(place):
    (family,), (found,) = named("ablation-concatenation"), named("found")
    once = family.ask(place)
    assert family.ask(place) == once
    assert once["ablation-concatenation"] != found.ask(place)["found"]


def test_a_source_that_is_left_out_changes_no_answer(lake):
    (family,) = named("ablation-bills")
    one, other = (places(lake.scenarios, lake.fit, lake.held_out, lake.runs, 0)[0] for _ in range(2))
    for name in [name for name in other.columns if name.startswith(("bills_", "spend"))]:
        other.columns[name] = np.roll(other.columns[name], 1, axis=0)
    assert family.ask(one) == family.ask(other)


@pytest.mark.parametrize(
    "name, there, why",
    [
        ("ablation-bills", ["visits"], r"the lake has no bills\."),
        ("ablation-visits", ["visits"], r"nothing else is there: the lake has visits alone\."),
        (
            "ablation-behaviour",
            ["bills", "profiles"],
            r"the lake has bills alone of these: see the row without bills\.",
        ),
    ],
)
def test_an_ablation_that_would_show_nothing_says_why(name, there, why):
    (variant,) = [variant for variant in VARIANTS if variant.name == name]
    with pytest.raises(NotApplicable, match=why):
        refuse_pointless(variant, there)


def test_an_ablation_of_what_is_there_beside_others_is_trained(place):
    assert sources_of(place.training) == ["bills", "clicks", "visits", "searches", "profiles"]
    for variant in VARIANTS:
        refuse_pointless(variant, sources_of(place.training))


def test_a_transfer_is_trained_on_the_pairs_of_other_lakes_and_scored_here(lake, place, tiny_pairs, tmp_path):
    others = [TrainLake("one", "d1", tiny_pairs), TrainLake("two", "d2", tiny_pairs)]
    compute(lake, transfers(others), tmp_path, seeds=1)
    found = {result.what.method: result for result in read_all(tmp_path)}
    assert set(found) == {"transfer+one+two", "transfer-no_stage1+one+two"}
    assert found["transfer+one+two"].scenarios.keys() == {"s0", "s1", "s2"}
    assert pending(lake, transfers(others), tmp_path, seeds=1) == []
    changed = transfers([others[0], TrainLake("two", "changed", tiny_pairs)])
    assert [one.method for one in pending(lake, changed, tmp_path, seeds=1)] == [
        "transfer+one+two",
        "transfer-no_stage1+one+two",
    ]


def test_a_transfer_reads_demands_behind_the_words_of_the_test_lake(trained_folder):
    model, day = FoundModel.from_pretrained(current(trained_folder, missing="")), date(2011, 6, 1)
    (strange,) = model.read_demands(["people who want zithers"], day)
    (spoken,) = model.read_demands(["zithers: people who want zithers"], day)
    (known,) = led_by(model, ["zithers"]).read_demands(["people who want zithers"], day)
    np.testing.assert_array_equal(known.vector, spoken.vector)
    assert np.abs(known.vector - strange.vector).max() > 1e-3


def test_a_transfer_without_pairs_says_what_to_do(place):
    (family, _) = transfers([TrainLake("one", "d1")])
    with pytest.raises(FoundError, match="no pairs of the lake one to train on: run `found evaluate --train-lakes`"):
        family.ask(place)
    with pytest.raises(FoundError, match="a lake to train on is a folder whose name has no '\\+', found 'a\\+b'"):
        TrainLake("a+b", "d")


def test_the_names_of_results_tell_what_a_transfer_was_trained_on():
    rows = rows_among(["found", "transfer+shop+films", "transfer-no_stage1+shop", "transfer+shop+films", "transfer"])
    assert [row.title for row in rows] == ["FOUND, trained on shop and films alone", "the same without stage 1"]
    studies = {study.title: study for study in plan(registry(), ["bank"], [row.name for row in rows]).studies}
    assert studies["Transfer"].against == ("found", "nearest_texts")
    assert {"found", "cpc"}.isdisjoint(method.name for method in studies["Ablations"].methods)


def test_what_found_took_to_train_is_part_of_its_time(lake, place, trained_folder, tmp_path):
    records = [json.loads(path.read_text()) for path in trained_folder.rglob(RECORD)]
    expected = sum(record["seconds"] for record in records)
    assert training_seconds(place.work, 0) == pytest.approx(expected) and expected > 0
    compute(lake, named("found"), tmp_path, seeds=1)
    assert all(result.wall_seconds >= expected for result in read_all(tmp_path))


def test_studies_are_trained_for_one_seed_unless_told_otherwise(lake, tmp_path):
    few, more = ([f for f in registry(study_seeds=n) if f.kind == ABLATIONS] for n in (1, 2))
    assert {family.most_seeds for family in few} == {1} and {family.most_seeds for family in more} == {2}
    assert len({f.name for f in few}) == len(VARIANTS) and len(chosen(registry(), ABLATIONS)) == len(VARIANTS)
    assert [f.name for f in chosen(registry(), "paper_small,recency")] == ["recency", "paper_small"]
    with pytest.raises(FoundError, match="transfer needs lakes to train on, found none: name their folders"):
        chosen(registry(), "recency,transfer")


def test_two_ablations_never_share_a_fingerprint(lake, tmp_path):
    wanted = pending(lake, [f for f in registry() if f.kind == ABLATIONS], tmp_path, seeds=1)
    assert len({one.fingerprint.recipe for one in wanted}) == len(VARIANTS)


def test_the_command_computes_a_study_and_shows_it_beside_found(lake, tiny_pairs, tmp_path, monkeypatch, capsys):
    copytree(lake.runs.parent / "tiny", tmp_path / "other")
    options = ["--results", tmp_path / "results", "--lake", lake.runs.parent / "tiny", "--runs", lake.runs]
    few = ["--methods", "found,nearest_texts,ablation-no_stage2,transfer", "--train-lakes", tmp_path / "other"]
    report = ["--text", tmp_path / "r.md", "--html", tmp_path / "r.html"]

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["suite", *map(str, arguments)])
        main()

    with pytest.raises(SystemExit):
        run(*options, *few, "--pending")
    assert capsys.readouterr().out == "tiny: 9 results and 5 notes to compute\n"
    run(*options, *few, "--train-pairs", tiny_pairs, *report)
    text = (tmp_path / "r.md").read_text()
    studies = text[text.index("## Ours with one thing changed") : text.index("## tiny")]
    assert "### Ablations" in studies and "### Transfer" in studies
    assert "| without stage 2: the encoder's own space |" in studies and "FOUND, trained on other alone" in studies
    assert "| method | tiny | less FOUND | less 5 nearest history texts |" in studies
    assert "without stage 2" not in text[: text.index("## Ours with one thing changed")].split("Beside the paper")[0]
    with pytest.raises(SystemExit):
        run(*options, "--train-lakes", tmp_path / "other", "--train-pairs", f"{tiny_pairs},{tiny_pairs}")
    assert "--train-pairs names one folder per lake of --train-lakes, found 2 for 1." in capsys.readouterr().err
