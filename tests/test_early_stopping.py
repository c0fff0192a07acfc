"""With patience the newest cut-off is held out, the best weights are kept, and training stops when they stay behind."""

from dataclasses import replace

import pytest
import torch
from model_pairs import make_job, quiet, write_pairs
from test_training import Dying, Killed, optimisation_of, stage_of
from torch import nn

from feature_repo.contracts.errors import FoundError
from model import checkpoint, trainer
from model.config import Optimisation
from model.data import Cutoffs
from model.distributed import Ranks
from model.early_stopping import EarlyStopping, held_out_loss
from model.journal import Journal
from model.recipes import tiny


@pytest.fixture
def job(tmp_path, tiny_pairs, encoder, text_cache):
    return make_job(tmp_path / "models", tiny_pairs, recipe=quiet(tiny()), encoder=encoder, cache=text_cache)


def patient(job, number=2, **options):
    return replace(optimisation_of(number, job), **{"patience": 2, "validate_every": 2} | options)


def trained(job, optimisation, *, number=2, loader=None):
    """The stage, its losses and its journal."""
    job = replace(job, recipe=replace(job.recipe, **{f"stage{number}": optimisation}))
    stage, journal = stage_of(number, job), Journal()
    losses = trainer.train(
        stage,
        loader or job.loader(optimisation),
        job.run(number, optimisation),
        Ranks(),
        journal=journal,
        held_out=job.held_out(optimisation),
    )
    return stage, losses, journal


@pytest.mark.parametrize("number", [1, 2])
def test_the_weights_of_the_lowest_held_out_loss_are_kept(job, number):
    optimisation = patient(job, number, steps=60, patience=1, learning_rate=0.3)

    stage, losses, journal = trained(job, optimisation, number=number)

    looks = [look["loss"] for look in journal.validation]
    assert looks[:-1] == sorted(looks[:-1], reverse=True) and looks[-1] >= looks[-2]
    assert len(losses) == 2 * len(looks) < 60
    again = held_out_loss(stage, job.held_out(optimisation), job.seed, Ranks(), precision="float32")
    assert again == pytest.approx(min(looks), rel=1e-6)


def test_training_stops_when_the_held_out_loss_has_not_sunk_for_long_enough(job, monkeypatch):
    measured = iter([3.0, 2.0, 2.0, 2.5])
    kept = []
    monkeypatch.setattr("model.early_stopping.held_out_loss", lambda stage, *_, **__: next(measured))
    monkeypatch.setattr(checkpoint, "weights", lambda stage: kept.append(plain(stage)) or kept[-1])

    stage, losses, journal = trained(job, patient(job, steps=100))

    assert len(losses) == 8 and [look["loss"] for look in journal.validation] == [3.0, 2.0, 2.0, 2.5]
    assert len(kept) == 2, "an equal loss is no better one"
    assert all(torch.equal(kept[-1][name], value) for name, value in plain(stage).items())


def plain(stage: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in checkpoint.trained(stage).items()}


def test_a_killed_run_goes_on_to_the_same_best_weights(job, monkeypatch):
    monkeypatch.setattr(trainer, "SAVE_EVERY", 3)
    optimisation = patient(job, steps=8, patience=9, learning_rate=0.05)
    whole, _, told = trained(job, optimisation)
    job.run(2, optimisation).checkpoint.unlink()

    with pytest.raises(Killed):
        trained(job, optimisation, loader=Dying(job.loader(optimisation), 7))
    resumed, losses, retold = trained(job, optimisation)

    assert len(losses) == 2 and retold.validation == told.validation
    assert all(torch.equal(plain(whole)[name], value) for name, value in plain(resumed).items())


def test_the_held_out_loss_is_a_function_of_the_weights_and_leaves_them_in_training(job):
    stage, optimisation = stage_of(2, job).train(), patient(job)
    loader = job.held_out(optimisation)

    first, again = (held_out_loss(stage, loader, 0, Ranks(), precision="float32") for _ in range(2))

    assert first == again and stage.training


def test_training_and_held_out_pairs_are_apart_and_all_without_patience(job):
    newest = job.pairs.cutoff_days[-1]

    assert job.loader(patient(job)).cutoffs == Cutoffs(end=newest)
    assert job.held_out(patient(job)).cutoffs == Cutoffs(first=newest)
    assert job.loader(patient(job, patience=0)).cutoffs == Cutoffs()
    assert job.held_out(patient(job, patience=0)) is None


def test_patience_needs_two_cutoffs(job):
    pairs = replace(job.pairs, manifest={**job.pairs.manifest, "cutoffs": ["2022-03-01"]})

    with pytest.raises(FoundError) as refused:
        replace(job, pairs=pairs).loader(patient(job))
    assert str(refused.value) == (
        f"patience holds out the newest of at least 2 cut-offs, found 1 in {job.pairs.folder}: "
        "build pairs at more cut-offs, or train without patience."
    )


def test_a_newest_cutoff_without_pairs_is_refused(tmp_path, job):
    pairs = write_pairs(tmp_path / "pairs", rows_per_file=(1,))
    its_job = make_job(tmp_path, pairs, recipe=job.recipe, encoder=job.encoder.encoder, cache=tmp_path / "cache")
    loader = its_job.held_out(patient(its_job))

    with pytest.raises(FoundError, match=r"no pair in .* has the newest cut-off, which patience holds out: build"):
        held_out_loss(nn.Linear(1, 1), loader, 0, Ranks(), precision="float32")


def test_a_look_is_due_every_few_steps_and_at_the_end():
    optimisation = Optimisation(steps=7, batch_users=1, learning_rate=1.0, patience=1, validate_every=3)
    stopping = EarlyStopping(loader=None, optimisation=optimisation, seed=0)

    assert [done for done in range(1, 8) if stopping.due(done)] == [3, 6, 7]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"patience": -1}, "patience must be 0 (off) or more, found -1."),
        ({"chunk_users": -2}, "chunk_users must be 0 (off) or more, found -2."),
        ({"validate_every": 0}, "validate_every must be positive, found 0."),
        ({"precision": "float16"}, "precision must be one of ('float32', 'bfloat16'), found 'float16'."),
    ],
)
def test_options_that_make_no_sense_are_refused(options, said):
    with pytest.raises(FoundError) as refused:
        Optimisation(steps=1, batch_users=1, learning_rate=1.0, **options)
    assert str(refused.value) == said


def test_a_recipe_keeps_its_options():
    optimisation = replace(tiny().stage2, chunk_users=3, precision="bfloat16", compile=True, patience=2)
    recipe = replace(tiny(), stage2=optimisation)

    assert type(recipe).from_dict(recipe.to_dict()) == recipe
