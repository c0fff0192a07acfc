"""The harness itself: noise scores one half on every task, and a label that leaks into the inputs is reported."""

import numpy as np
import pytest
from evaluated_run import USERS, scenario, write_run, write_scenarios, write_snapshot
from model_pairs import LATER, some_users

from feature_repo.contracts.names import Workdir
from model.evaluation.measures import Candidates, measure
from model.evaluation.notes import holds, read_notes
from model.evaluation.report.noted import noted
from model.evaluation.runs import Run
from model.evaluation.scenarios import Scenario
from model.evaluation.suite.bench import places
from model.evaluation.suite.compute import Lake
from model.evaluation.suite.families import FOUND, families
from model.evaluation.suite.hard import hard_seeds
from model.evaluation.suite.notes import notes_of, pending_notes, take_notes
from model.vectors import Users

SEEDS, CANDIDATES = 20, 500
DEMANDS = ("Garden lovers", "Customers who will buy coffee", "Families with a baby")


def noise(seed, trained, texts, tmp_path):
    """A place whose users are random vectors with random texts and whose labels are random."""
    rng = np.random.default_rng(seed)
    names = [f"u{n:04d}" for n in range(CANDIDATES)]
    asked = [Scenario(f"noise {seed} {n}", demand, LATER, 30, "") for n, demand in enumerate(DEMANDS)]
    is_fit = rng.random(CANDIDATES) < 0.2
    labels = {s.id: rng.integers(0, 2, CANDIDATES) for s in asked}
    fit, held_out = (
        {s.id: {u: int(v) for u, v, f in zip(names, labels[s.id], is_fit, strict=True) if f == kept} for s in asked}
        for kept in (True, False)
    )
    (place,) = places(asked, fit, held_out, tmp_path, seed)
    vectors = rng.normal(size=(CANDIDATES, trained.width)).astype(np.float32)
    weighted = [(rng.choice(texts.keys, 5), rng.random(5).astype(np.float32)) for _ in names]
    rows = {name: row for row, name in enumerate(names)}
    place.__dict__["run"] = Run(trained, LATER, Users(vectors, weighted), rows, texts)
    return place, held_out


def test_random_embeddings_score_one_half_on_the_mean_of_all_tasks(trained, texts, tmp_path, monkeypatch):
    monkeypatch.setattr("model.evaluation.suite.probe.STRENGTHS", (1e-3, 1e-2))
    (found,) = [family for family in families() if family.name == FOUND]
    by_task = {}
    for seed in range(SEEDS):
        place, held_out = noise(seed, trained, texts, tmp_path)
        for task, answers in found.ask(place).items():
            for name, scores in answers.items():
                given = measure(Candidates.of(name, held_out[name], fit_rate=0.5), scores, replicates=1)
                by_task.setdefault(task, []).append(given.measures["auc"].value)
    assert {"found", "found+few", "found+hard", "found+fit", "found+probe"} == set(by_task)
    assert np.mean(list(by_task.values())) == pytest.approx(0.5, abs=0.01)
    for task, values in by_task.items():
        assert np.mean(values) == pytest.approx(0.5, abs=0.02), task


def open_lake(root, trained, trained_folder, texts, text_cache, tiny_pairs, leak=False):
    users = some_users(USERS)
    run = write_run(root / "runs", trained.embed(users, texts), trained_folder, text_cache)
    (run / "pairs").symlink_to(tiny_pairs)
    if leak:
        users["profile_numbers"][:, 0] = np.arange(1, USERS + 1) % 4 == 0
    write_snapshot(Workdir(run), users, [f"u{key}" for key in range(1, USERS + 1)], LATER)
    write_scenarios(root / "tiny" / "scenarios", [scenario(number) for number in range(3)])
    return Lake.open(root / "tiny", root / "runs")


@pytest.mark.parametrize("leak", [False, True])
def test_a_label_leaked_on_purpose_is_in_the_report(
    leak, tmp_path, trained, trained_folder, texts, text_cache, tiny_pairs
):
    lake = open_lake(tmp_path, trained, trained_folder, texts, text_cache, tiny_pairs, leak)
    results, said = tmp_path / "results", []
    assert [note.name for note in pending_notes(lake, [], results, seeds=1)] == ["statistics", "leaks"]
    take_notes(lake, [], results, seeds=1, say=said.append)
    assert said == ["tiny: note statistics", "tiny: note leaks"] and not pending_notes(lake, [], results, seeds=1)
    found, *_ = noted(read_notes(notes_of(results)), ["tiny"])
    warned = [line for line in found.lines if "'age' alone ranks the eval labels of s0" in line]
    assert bool(warned) == leak
    table = found.tables[0]
    assert table.rows[0][3].text == str(USERS) and "bills of" in table.rows[0][4].text


def test_notes_of_another_lake_are_computed_again(tmp_path, trained, trained_folder, texts, text_cache, tiny_pairs):
    lake = open_lake(tmp_path, trained, trained_folder, texts, text_cache, tiny_pairs)
    take_notes(lake, [], tmp_path / "results", seeds=1, say=lambda _: None)
    (tmp_path / "tiny" / "bills.parquet").write_bytes(b"x")
    (again, _) = pending_notes(Lake.open(tmp_path / "tiny", lake.runs), [], tmp_path / "results", seeds=1)
    assert not holds(notes_of(tmp_path / "results"), again)


def test_hard_seeds_are_the_negatives_that_zero_shot_ranks_highest_or_that_are_marked(trained, texts, tmp_path):
    place, _ = noise(0, trained, texts, tmp_path)
    chosen = place.scenarios[0]
    score = np.random.default_rng(3).normal(size=len(place.users))
    drawn, hard = place.seeds(chosen, 5), hard_seeds(place, chosen, score)
    np.testing.assert_array_equal(hard.rows[hard.labels == 1], drawn.rows[drawn.labels == 1])
    every = place.seeds(chosen)
    negatives = every.rows[every.labels == 0]
    assert set(hard.rows[hard.labels == 0]) == set(sorted(negatives, key=lambda row: -score[row])[:5])
    marked = {place.users[row] for row in negatives[:3]}
    place.hard.update({chosen.id: frozenset(marked)})
    again = hard_seeds(place, chosen, score)
    assert {place.users[row] for row in again.rows[again.labels == 0]} == marked
