"""MLflow where the setting names a store: what TensorBoard is told, one run through any kill, and never a lost step."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import ports
import pytest
from model_pairs import make_job
from test_records import events, record_of
from test_training import Dying, Killed, stage_of

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.settings import Settings, read_settings
from model import pointers, tracking, trainer
from model.distributed import Ranks
from model.recipes import tiny
from model.tracking import Store, flat
from model.train import _job, stage1


@pytest.fixture
def job(tmp_path, tiny_pairs, encoder, text_cache):
    return make_job(tmp_path / "models", tiny_pairs, recipe=tiny(), encoder=encoder, cache=text_cache)


@pytest.fixture
def unused_port() -> int:
    return ports.unused()


def arguments():
    return argparse.Namespace(pairs=None, out=None)


def test_the_setting_comes_from_the_environment_and_is_off_by_default(tmp_path):
    assert read_settings({}, tmp_path).mlflow_uri == ""
    assert read_settings({"FOUND_MLFLOW_URI": "sqlite:///m.db"}, tmp_path).mlflow_uri == "sqlite:///m.db"


def test_without_the_setting_nothing_is_tracked(job):
    assert job.journal(job.run(1, job.recipe.stage1)).tracked is None


def test_without_mlflow_one_error_says_how_to_get_it_before_anything_else_happens(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    settings = Settings(workdir="/nowhere", mlflow_uri="http://me:secret@tracking:5000")

    with pytest.raises(FoundError) as refused:
        _job(settings, arguments(), Ranks())
    assert str(refused.value) == (
        "mlflow_uri is http://tracking:5000, but MLflow cannot be imported (import of mlflow.tracking halted; None in "
        "sys.modules): `pip install --no-deps mlflow-skinny==3.17.2 databricks-sdk==0.162.0`, or leave mlflow_uri "
        "empty; TensorBoard events are written all the same."
    )


def test_other_ranks_do_not_even_look_for_mlflow(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    settings = Settings(workdir=str(tmp_path), mlflow_uri="http://tracking:5000")

    with pytest.raises(FoundError, match=r"no training pairs in .*: run spark_jobs/build_pairs\.py first\."):
        _job(settings, arguments(), Ranks(1, 2))


def test_a_recipe_is_told_as_flat_parameters():
    assert flat({"name": "tiny", "stage1": {"steps": 4}}) == {"name": "tiny", "stage1.steps": 4}
    assert len(flat(tiny().to_dict())) < tracking.MOST_PARAMS


@pytest.mark.filterwarnings("ignore:The ``noload``:DeprecationWarning")  # MLflow 3.17 asks SQLAlchemy 2.1 for it
class TestWithMlflow:
    """With a real store on this machine."""

    @pytest.fixture(autouse=True)
    def _mlflow(self):
        pytest.importorskip("mlflow.tracking")

    @pytest.fixture(params=["file", "sqlite"])
    def store(self, request, tmp_path):
        place = tmp_path / "mlflow"
        place.mkdir()
        return Store(f"file:{place}" if request.param == "file" else f"sqlite:///{place}/mlflow.db")

    @pytest.fixture
    def tracked_job(self, job, store):
        return replace(job, mlflow=store)

    def test_a_run_is_told_whole(self, tracked_job, store):
        stage1(tracked_job)

        (run,) = runs(store)
        record = record_of(tracked_job.models, 1)
        assert run.info.status == "FINISHED"
        assert run.data.params == {name: str(value) for name, value in flat(tracked_job.recipe.to_dict()).items()}
        told = {name: run.data.tags[name] for name in run.data.tags if name.startswith("found.")}
        assert told == {
            "found.run": run.info.run_name,
            "found.stage": "1",
            "found.pairs": "tiny",
            "found.seed": "0",
            "found.world": "1",
            "found.version": record["version"],
        }
        (folder,) = tracked_job.models.glob("logs/stage1-*")
        assert run.info.run_name == folder.name
        expected = events(folder)
        assert set(run.data.metrics) == set(expected)
        for name, points in expected.items():
            assert history(store, run, name) == [(step, pytest.approx(value, rel=1e-6)) for step, value in points]

    def test_record_and_card_lie_beside_it(self, tracked_job, store, tmp_path):
        stage1(tracked_job)
        (run,) = runs(store)

        model = pointers.current(tracked_job.models / "stage1", missing="")
        for name in ("run.json", "README.md"):
            copy = store.client.download_artifacts(run.info.run_id, name, str(tmp_path))
            assert Path(copy).read_text() == (model / name).read_text()
        assert json.loads((tmp_path / "run.json").read_text())["version"] == model.name

    def test_a_killed_run_goes_on_in_the_same_one_and_tells_nothing_twice(self, tracked_job, store, monkeypatch):
        monkeypatch.setattr(trainer, "SAVE_EVERY", 4)
        monkeypatch.setattr(trainer, "REPORT_EVERY", 1)
        run = tracked_job.run(2, tracked_job.recipe.stage2)
        loader = tracked_job.loader(tracked_job.recipe.stage2)

        def train(loader):
            journal = tracked_job.journal(run)
            trainer.train(stage_of(2, tracked_job), loader, run, Ranks(), journal=journal)
            return journal

        with pytest.raises(Killed):
            train(Dying(loader, 6))
        (killed,) = runs(store)
        journal = train(loader)

        (resumed,) = runs(store)
        assert killed.info.status == "FAILED" and resumed.info.run_id == killed.info.run_id
        told = history(store, resumed, "train/loss")
        assert told == [(row["step"], pytest.approx(row["loss"])) for row in journal.history]
        assert [step for step, _ in told] == list(range(1, 9))

    def test_a_run_resumed_with_mlflow_switched_on_late_is_told_from_its_first_step(self, job, store, monkeypatch):
        monkeypatch.setattr(trainer, "SAVE_EVERY", 4)
        monkeypatch.setattr(trainer, "REPORT_EVERY", 2)
        run = job.run(1, replace(job.recipe.stage1, steps=8))
        run = replace(run, optimisation=replace(job.recipe.stage1, steps=8))
        with pytest.raises(Killed):
            trainer.train(
                stage_of(1, job), Dying(job.loader(run.optimisation), 6), run, Ranks(), journal=job.journal(run)
            )
        late = replace(job, mlflow=store)

        trainer.train(stage_of(1, late), late.loader(run.optimisation), run, Ranks(), journal=late.journal(run))

        (told,) = runs(store)
        assert [step for step, _ in history(store, told, "train/loss")] == [2, 4, 6, 8]

    def test_training_again_after_the_end_is_a_new_run(self, tracked_job, store):
        stage1(tracked_job)
        stage1(tracked_job)

        assert [run.info.status for run in runs(store)] == ["FINISHED", "FINISHED"]

    def test_a_store_that_stops_answering_costs_no_step_and_gets_all_in_the_end(
        self, tracked_job, store, monkeypatch, capsys
    ):
        monkeypatch.setattr(trainer, "REPORT_EVERY", 1)
        log_batch, refused = store.client.log_batch, []

        def down(*given, metrics=(), **named):
            if metrics and len(refused) < 1:
                refused.append(len(metrics))
                raise ConnectionError("http://me:secret@tracking:5000 is gone\nfor good")
            return log_batch(*given, metrics=metrics, **named)

        monkeypatch.setattr(store.client, "log_batch", down)
        stage1(tracked_job)

        (run,) = runs(store)
        assert [step for step, _ in history(store, run, "train/loss")] == [1, 2, 3, 4]
        assert run.info.status == "FINISHED" and refused
        said = [line for line in capsys.readouterr().out.splitlines() if "MLflow" in line]
        assert said == [
            f"the MLflow store {store.name} took nothing: http://tracking:5000 is gone. Training goes on; "
            f"{refused[0]} values wait for it."
        ]

    def test_a_store_that_never_comes_back_leaves_a_model_all_the_same(self, tracked_job, store, monkeypatch, capsys):
        def gone(*_, **__):
            raise ConnectionError

        for name in ("log_batch", "set_tag", "set_terminated", "log_artifact"):
            original = getattr(store.client, name)
            monkeypatch.setattr(store.client, name, gone if name != "log_batch" else only_params(original))
        version = stage1(tracked_job)

        assert pointers.current(tracked_job.models / "stage1", missing="").name == version
        said = capsys.readouterr().out
        assert "took nothing: ConnectionError. Training goes on; 7 values wait for it." in said
        assert "took nothing: ConnectionError. The model is there; its run lacks 7 values or more." in said

    def test_a_store_that_is_down_at_the_first_step_stops_training_by_name(self, tracked_job, store, monkeypatch):
        def gone(*_, **__):
            raise ConnectionError("connection refused")

        monkeypatch.setattr(store.client, "create_run", gone)
        with pytest.raises(FoundError) as refused:
            stage1(tracked_job)
        assert str(refused.value) == (
            f"the MLflow store {store.name} cannot be used: connection refused. Repair it, name another by mlflow_uri, "
            "or leave that empty."
        )
        assert not (tracked_job.models / "stage1").exists()

    def test_a_server_that_does_not_answer_is_named_without_its_password(self, unused_port, monkeypatch):
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        uri = f"http://me:secret@127.0.0.1:{unused_port}"

        with pytest.raises(FoundError) as refused:
            Store(uri)
        message = str(refused.value)
        assert message.startswith(f"the MLflow store http://127.0.0.1:{unused_port} cannot be used: ")
        assert "secret" not in message

    def test_a_uri_that_names_no_store_is_refused(self):
        with pytest.raises(
            FoundError, match=r"the MLflow store nonsense://x cannot be used: .*name another by mlflow_uri"
        ):
            Store("nonsense://x")

    def test_only_the_first_rank_writes(self, tracked_job):
        run = tracked_job.run(1, tracked_job.recipe.stage1)

        assert tracked_job.journal(run).tracked is not None
        assert replace(tracked_job, ranks=Ranks(1, 2)).journal(run).tracked is None


def only_params(log_batch):
    def log(run_id, metrics=(), params=()):
        if metrics:
            raise ConnectionError
        return log_batch(run_id, params=params)

    return log


def runs(store):
    return store.client.search_runs([store.experiment])


def history(store, run, name):
    """[(step, value)] as they came."""
    return [(point.step, point.value) for point in store.client.get_metric_history(run.info.run_id, name)]
