"""Both stages train, resume where they were killed, name what broke them, and can memorise."""

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from model_pairs import TOPICS, make_job, quiet, write_pairs

from feature_repo.contracts.errors import FoundError
from model import pointers, trainer
from model.config import Optimisation
from model.data import Loader, read_file_pyarrow
from model.distributed import Ranks
from model.evaluation.metrics import auc
from model.found import FoundModel
from model.recipes import tiny
from model.sentences import Sentences
from model.stages import Alignment, SelfSupervised
from model.step import Step, noise_for
from model.text_space import TextSpace
from model.train import _arguments, _future_counts, _metadata, _texts, _vocabulary, stage1, stage2, with_options


class Killed(Exception):
    pass


def stage_of(number, job):
    """A fresh stage, as model.train builds it."""
    torch.manual_seed(job.seed)
    strings, texts = _texts(job)
    space = TextSpace.of(np.asarray(texts.vectors[1:]), _future_counts(job.pairs, texts))
    model = FoundModel(job.recipe, _vocabulary(job), space, metadata=_metadata(job))
    if number == 1:
        return SelfSupervised(model, texts)
    return Alignment(
        model, texts, Sentences(model, texts, strings, _future_counts(job.pairs, texts), job.encoder.encode)
    )


def optimisation_of(number, job):
    return job.recipe.stage1 if number == 1 else job.recipe.stage2


def trained(number, job, *, loader=None):
    """The losses of a run."""
    optimisation = optimisation_of(number, job)
    return trainer.train(
        stage_of(number, job), loader or job.loader(optimisation), job.run(number, optimisation), Ranks()
    )


class Dying:
    """A loader whose process dies before the batch of one step."""

    def __init__(self, loader: Loader, step: int) -> None:
        self.loader, self.step = loader, step

    def steps(self):
        yield from islice(self.loader.steps(), self.step)
        raise Killed


@pytest.fixture
def job(tmp_path, tiny_pairs, encoder, text_cache):
    return make_job(tmp_path / "models", tiny_pairs, recipe=tiny(), encoder=encoder, cache=text_cache)


@pytest.mark.parametrize("number", [1, 2])
def test_a_killed_run_resumes_with_the_losses_it_would_have_had(job, number, monkeypatch):
    monkeypatch.setattr(trainer, "SAVE_EVERY", 2)
    job = replace(job, recipe=replace(job.recipe, stage2=replace(job.recipe.stage2, steps=6)))
    steps = optimisation_of(number, job).steps
    uninterrupted = trained(number, job)
    job.run(number, optimisation_of(number, job)).checkpoint.unlink()

    with pytest.raises(Killed):
        trained(number, job, loader=Dying(job.loader(optimisation_of(number, job)), steps - 1))
    resumed = trained(number, job)

    assert len(uninterrupted) == steps and np.isfinite(uninterrupted).all()
    saved = (steps - 1) // 2 * 2
    assert resumed == pytest.approx(uninterrupted[saved:], rel=1e-6)


@pytest.mark.parametrize("number", [1, 2])
def test_after_a_kill_the_next_50_losses_are_those_of_an_unbroken_run(job, number, monkeypatch):
    monkeypatch.setattr(trainer, "SAVE_EVERY", 10)
    optimisation = replace(optimisation_of(number, job), steps=62)
    run = replace(job.run(number, optimisation), optimisation=optimisation)

    def losses(loader):
        return trainer.train(stage_of(number, job), loader, run, Ranks())

    unbroken = losses(job.loader(optimisation))
    run.checkpoint.unlink()
    with pytest.raises(Killed):
        losses(Dying(job.loader(optimisation), 17))
    resumed = losses(job.loader(optimisation))

    assert len(resumed) == 52 and resumed == unbroken[10:]


@pytest.mark.parametrize("number", [1, 2])
def test_the_same_seed_gives_the_same_losses(job, number, tmp_path):
    first = trained(number, job)
    again = trained(number, replace(job, models=tmp_path / "again"))

    assert first == again


class Gathering(torch.nn.Module):
    """A stage whose gradient sums thousands of rows into four, as the biases of the cut-offs do."""

    def __init__(self) -> None:
        super().__init__()
        self.bias_TC = torch.nn.Parameter(torch.zeros(4, 512))

    def parameter_groups(self, recipe):
        return [{"params": [self.bias_TC], "lr": 1.0}]

    def forward(self, columns, weight_B, step):
        day_of_B = torch.randint(4, (4096,))
        loss = (self.bias_TC[day_of_B] - torch.randn(4096, 512)).square().mean()
        return loss, {"gathering": loss}


def test_threads_add_gradients_in_a_fixed_order(job, tmp_path):
    weights = set()
    for attempt in range(4):
        stage, optimisation = Gathering(), job.recipe.stage1
        run = replace(job.run(1, optimisation), checkpoint=tmp_path / str(attempt))
        trainer.train(stage, job.loader(optimisation), run, Ranks())
        weights.add(stage.bias_TC.detach().numpy().tobytes())

    assert len(weights) == 1 and not torch.are_deterministic_algorithms_enabled()


def test_a_checkpoint_of_other_pairs_is_refused(job, monkeypatch):
    monkeypatch.setattr(trainer, "SAVE_EVERY", 2)
    trained(1, job)
    run = job.run(1, job.recipe.stage1)
    other = replace(run, identity={**run.identity, "pairs": "other"})

    with pytest.raises(FoundError, match=r"belongs to another run \(\['pairs'\] differ\): remove it"):
        trainer.train(stage_of(1, job), job.loader(job.recipe.stage1), other, Ranks())


def test_a_loss_that_is_not_finite_names_its_step_and_users(job):
    stage = stage_of(1, job)
    with torch.no_grad():
        stage.model.user.sequence.events.amount.weight.fill_(torch.nan)
    loader = job.loader(job.recipe.stage1)
    first = next(loader.steps())["user_key"][:3].tolist()

    with pytest.raises(FoundError) as refused:
        trainer.train(stage, loader, job.run(1, job.recipe.stage1), Ranks())
    assert str(refused.value) == (
        f"the loss of step 0 is nan: its batch starts with the users (by key) {first}. "
        "Look for extreme amounts or profile numbers there, or lower the learning rate."
    )


def test_stage_2_needs_stage_1_of_the_same_pairs_and_recipe(job, trained_folder):
    with pytest.raises(FoundError, match=r"no current model in .*stage1: run `--stage 1` first\."):
        stage2(job)
    changed = replace(job, models=trained_folder, recipe=replace(job.recipe, cpc_ahead=2))
    with pytest.raises(FoundError, match=r"trained with other pairs or another recipe: run `--stage 1` again\."):
        stage2(changed)


def test_both_stages_leave_a_model_in_service_and_no_checkpoint(trained_folder):
    model = FoundModel.from_pretrained(pointers.current(trained_folder, missing=""))
    first = FoundModel.from_pretrained(pointers.current(trained_folder / "stage1", missing=""))

    assert model.version and first.version and model.version != first.version
    assert model.metadata["sources"] == ["bills", "clicks", "visits"]
    assert not list((trained_folder / "checkpoints").glob("*"))


def test_training_again_gives_the_same_model(job, trained_folder):
    stage1(job)
    stage2(job)

    assert (job.models / "CURRENT").read_text() == (trained_folder / "CURRENT").read_text()


def test_the_paper_alignment_trains_too(job):
    job = replace(job, recipe=replace(job.recipe, alignment="infonce"))

    losses = trained(2, job)

    users_per_batch = 6
    assert np.isfinite(losses).all() and losses[0] == pytest.approx(np.log(users_per_batch), rel=0.3)


KINDS = [(1, "sigmoid"), (2, "sigmoid"), (2, "infonce")]


@pytest.mark.parametrize(("number", "alignment"), KINDS)
def test_bfloat16_losses_are_near_those_of_float32_in_chunks_too(job, number, alignment):
    job = replace(job, recipe=replace(quiet(job.recipe), alignment=alignment))
    exact = eight_steps(number, job)
    rounded, chunked = (eight_steps(number, job, precision="bfloat16", chunk_users=chunk) for chunk in (0, 4))

    assert exact != rounded != chunked
    assert rounded == pytest.approx(exact, rel=0.02)
    assert chunked == pytest.approx(exact, rel=0.02)


def eight_steps(number, job, **options):
    """The losses of a run."""
    recipe = with_options(job.recipe, options)
    changed = replace(job, recipe=replace(recipe, stage1=replace(recipe.stage1, steps=8)))
    return trained(number, changed)


def test_options_that_were_given_hold_in_both_stages(monkeypatch):
    command = "train --stage 1 --chunk-users 8 --precision bfloat16 --compile --patience 3 --validate-every 5"
    monkeypatch.setattr("sys.argv", command.split())
    expected = {"chunk_users": 8, "precision": "bfloat16", "compile": True, "patience": 3, "validate_every": 5}

    recipe = with_options(tiny(), vars(_arguments()))

    assert recipe.stage1 == replace(tiny().stage1, **expected)
    assert recipe.stage2 == replace(tiny().stage2, **expected)


def test_without_options_the_recipe_stays_as_it_is(monkeypatch):
    monkeypatch.setattr("sys.argv", ["train", "--stage", "1"])

    assert with_options(tiny(), vars(_arguments())) == tiny()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch warns of itself while it compiles
@pytest.mark.parametrize("number", [1, 2])
def test_compiled_losses_are_those_of_the_plain_model(job, number):
    job = replace(job, recipe=quiet(job.recipe))

    assert eight_steps(number, job, compile=True) == pytest.approx(eight_steps(number, job), rel=1e-4)


def test_the_noise_of_the_table_tasks_depends_on_user_and_step_alone():
    users, step = np.array([5, 9, 7]), Step(3, 0, Ranks())

    one, permuted = noise_for(users, 4, step), noise_for(users[[2, 0, 1]], 4, step)

    torch.testing.assert_close(permuted, one[[2, 0, 1]])
    assert not torch.equal(one, noise_for(users, 4, Step(4, 0, Ranks())))


def test_a_small_model_memorises_48_users_and_not_their_habit_alone(tmp_path, encoder, text_cache):
    """Who does what, over all sentences of the futures: an AUC near 1 on the users' own futures, and clearly less
    on those of other users with the same habit."""
    pairs = write_pairs(tmp_path / "pairs", rows_per_file=(48,))
    optimisation = Optimisation(steps=120, batch_users=48, learning_rate=5e-3, weight_decay=0.0, warmup_steps=5)
    small = replace(quiet(tiny()), width=32, sampled_texts=96, lora_every=1000, stage2=optimisation)
    job = make_job(tmp_path / "models", pairs, recipe=small, encoder=encoder, cache=text_cache)
    stage = stage_of(2, job)

    losses = trainer.train(stage, job.loader(optimisation), job.run(2, optimisation), Ranks())

    everyone = read_file_pyarrow(job.pairs.files[0])
    happens = stage.sentences.happens(stage.texts.rows(everyone["future_text"]))
    asked = happens.any(0)
    with torch.no_grad():
        users, _ = stage.model.eval().users(stage.model.batch(everyone, stage.texts), stage.text_VE)
        score = users[:, :-1] @ stage.model.text(stage.raw_VE, 19_000)[:, :-1].T
    same_habit = np.roll(happens, len(TOPICS), axis=0)
    own, others = (
        np.mean([auc(y, s) for y, s in zip(labels[:, asked].T, score.numpy()[:, asked].T, strict=True)])
        for labels in (happens, same_habit)
    )
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])
    assert own > 0.95 and own > others + 0.1
