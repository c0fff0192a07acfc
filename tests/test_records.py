"""A model folder says what made it: run.json, a card, and TensorBoard events, none of which enter its version."""

import json
import shutil
from dataclasses import replace

import pytest
import yaml
from model_pairs import make_job
from test_training import Dying, Killed, optimisation_of, stage_of

from model import pointers, trainer
from model.distributed import Ranks
from model.found import FoundModel
from model.journal import Journal
from model.recipes import tiny
from model.records import card, environment, write_record

FOLDERS = {1: "stage1", 2: ""}


@pytest.fixture
def job(tmp_path, tiny_pairs, encoder, text_cache):
    return make_job(tmp_path / "models", tiny_pairs, recipe=tiny(), encoder=encoder, cache=text_cache)


def model_of(folder, stage):
    return pointers.current(folder / FOLDERS[stage], missing="")


def record_of(folder, stage):
    return json.loads((model_of(folder, stage) / "run.json").read_text())


@pytest.mark.parametrize("stage", [1, 2])
def test_a_record_holds_what_the_run_was_and_gave(trained_folder, job, stage):
    record = record_of(trained_folder, stage)

    assert record["stage"] == stage and record["version"] == model_of(trained_folder, stage).name
    assert record["recipe"] == job.recipe.to_dict() and record["seed"] == 0
    assert record["pairs"]["fingerprint"] == "tiny" and record["pairs"]["rows"] == 96
    steps = optimisation_of(stage, job).steps
    assert record["steps"] == record["history"][-1]["step"] == steps
    assert set(record["history"][-1]) == {
        "step",
        "loss",
        *(("alignment", "vector", "choice") if stage == 2 else ("cpc", "cycle", "mlm", "rtd")),
    }
    assert record["seconds"] > 0 and record["pairs_per_second"] > 0 and 0 <= record["text_cache_hit_rate"] <= 1
    assert set(record["environment"]["packages"]) >= {"torch", "transformers", "peft"}
    assert record["environment"]["ranks"] == 1


def test_record_and_card_do_not_enter_the_version(trained_folder, tmp_path):
    bare = FoundModel.from_pretrained(model_of(trained_folder, 2)).save_pretrained(tmp_path)

    assert bare == model_of(trained_folder, 2).name
    assert sorted(path.name for path in (tmp_path / bare).iterdir()) == ["config.json", "model.safetensors"]


def test_the_run_that_made_a_model_first_stays_on_record(trained_folder, tmp_path):
    record = record_of(trained_folder, 2)
    write_record(tmp_path, record)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    write_record(tmp_path, record | {"seconds": 1e6})

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert set(before) == {"run.json", "README.md"}


@pytest.mark.parametrize("stage", [1, 2])
def test_a_card_has_front_matter_and_says_what_for_and_what_not(trained_folder, stage):
    text = (model_of(trained_folder, stage) / "README.md").read_text()
    _, front, body = text.split("---\n", 2)

    known = yaml.safe_load(front)
    assert known["license"] == "apache-2.0" and known["library_name"] == "found"
    assert known["datasets"] == ["tiny"] and "recipe:tiny" in known["tags"]
    assert body.startswith(f"\n# FOUND {model_of(trained_folder, stage).name}\n")
    headings = [line for line in body.splitlines() if line.startswith("## ")]
    assert headings == ["## Trained on", "## Losses", "## Intended use", "## Limits"]
    assert "96 pairs of the lake `tiny`" in body and "within 30 days" in body


def test_a_card_depends_on_settings_and_losses_alone(trained_folder):
    record = record_of(trained_folder, 2)
    elsewhere = record | {"seconds": 9.0, "pairs_per_second": 1.0, "environment": {}, "text_cache_hit_rate": 0.5}

    assert card(elsewhere) == card(record)
    assert card(record | {"seed": 1}) != card(record)


def test_a_card_shows_the_held_out_losses(trained_folder):
    record = record_of(trained_folder, 2) | {"validation": [{"step": 4, "loss": 0.25}, {"step": 8, "loss": 0.125}]}

    assert "| step | loss |\n| --- | --- |\n| 4 | 0.2500 |\n| 8 | 0.1250 |" in card(record)


def test_the_environment_of_several_ranks_is_named():
    assert environment(Ranks(0, 4))["ranks"] == 4


def events(folder):
    """{tag: [(step, value)]} of all event files in a folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder)).Reload()
    return {tag: [(e.step, e.value) for e in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def test_training_writes_tensorboard_events(trained_folder):
    (folder,) = trained_folder.glob("logs/stage2-*")
    told, history = events(folder), record_of(trained_folder, 2)["history"]

    names = ("loss", "alignment", "vector", "choice", "learning_rate", "pairs_per_second")
    assert set(told) == {f"train/{name}" for name in names}
    assert [step for step, _ in told["train/loss"]] == [row["step"] for row in history]
    assert [loss for _, loss in told["train/loss"]] == pytest.approx([row["loss"] for row in history])


def test_history_and_events_go_on_after_a_kill_and_tell_nothing_twice(job, monkeypatch):
    monkeypatch.setattr(trainer, "SAVE_EVERY", 4)
    monkeypatch.setattr(trainer, "REPORT_EVERY", 1)
    run = job.run(2, job.recipe.stage2)

    def train(loader):
        journal = job.journal(run)
        trainer.train(stage_of(2, job), loader, run, Ranks(), journal=journal)
        return journal

    whole = train(job.loader(job.recipe.stage2))
    run.checkpoint.unlink()
    with pytest.raises(Killed):
        train(Dying(job.loader(job.recipe.stage2), 6))
    resumed = train(job.loader(job.recipe.stage2))

    assert [row["step"] for row in resumed.history] == list(range(1, 9))
    assert resumed.history == whole.history and resumed.done == 8
    assert resumed.notes()["pairs"] == whole.notes()["pairs"] == 48
    assert [step for step, _ in events(resumed.folder)["train/loss"]] == list(range(1, 9))


def test_a_run_that_starts_anew_replaces_its_old_events(job):
    run = job.run(1, job.recipe.stage1)
    for _ in range(2):
        shutil.rmtree(run.checkpoint.parent, ignore_errors=True)
        journal = job.journal(run)
        trainer.train(stage_of(1, job), job.loader(job.recipe.stage1), run, Ranks(), journal=journal)

    assert len(list(journal.folder.iterdir())) == 1


def test_other_ranks_write_no_events(job):
    run = job.run(1, job.recipe.stage1)

    assert job.journal(run).folder is not None
    assert replace(job, ranks=Ranks(1, 2)).journal(run).folder is None


def test_a_report_prints_metrics_throughput_and_the_time_left(capsys):
    journal = Journal()
    journal.begin(0, {})
    journal.count(50)
    journal.report(0, 2, {"loss": 0.5, "alignment": 0.25}, learning_rate=1e-3)
    journal.validated(2, 0.75, lowest=0.5)

    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("step 1/2 alignment 0.2500 | ") and first.endswith(" s left")
    assert second == "step 2: loss of the held-out cut-off 0.7500, lowest 0.5000"
