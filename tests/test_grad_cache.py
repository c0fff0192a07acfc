"""A batch in chunks has the loss and the gradient of the whole batch, and one chunk's graph in memory at a time."""

import copy
import weakref
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from ddp_gradients import in_chunks, undropped
from model_pairs import make_job, quiet, some_users
from test_training import stage_of
from torch import nn

from model import checkpoint
from model.distributed import Ranks
from model.grad_cache import accumulated, cached, slices
from model.losses import infonce_loss, weighted_mean
from model.recipes import tiny
from model.step import Step
from model.trainer import _groups

CPU = torch.device("cpu")


def test_slices_cover_the_rows_once():
    assert slices(7, 3) == [slice(0, 3), slice(3, 6), slice(6, 7)]
    assert slices(7, 0) == slices(7, 7) == slices(7, 9) == [slice(0, 7)]


class Watched:
    """An embedding that counts how many of its hidden tensors are alive at once."""

    def __init__(self, module: nn.Module) -> None:
        self.module, self.alive, self.most = module, 0, 0

    def __call__(self, x_BD: torch.Tensor) -> torch.Tensor:
        hidden = self.module(x_BD).tanh()
        self.alive += 1
        self.most = max(self.most, self.alive)
        weakref.finalize(hidden, self.died)
        return hidden.square()

    def died(self) -> None:
        self.alive -= 1


def linear(dropout: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 4), nn.Dropout(dropout))


def rows(count: int = 12) -> torch.Tensor:
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(1))


def gradient(module: nn.Module) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in module.parameters()])


def contrast(user_BD: torch.Tensor) -> torch.Tensor:
    return infonce_loss(user_BD, torch.randn(len(user_BD), 4, generator=torch.Generator().manual_seed(2)))


@pytest.mark.parametrize("chunk", [1, 5, 12])
def test_cached_equals_the_whole_batch_though_all_rows_meet_in_the_loss(chunk):
    whole, chunked = linear(), linear()
    contrast(Watched(whole)(rows())).backward()

    loss = contrast(cached(Watched(chunked), [(rows()[part],) for part in slices(12, chunk)], CPU))
    loss.backward()

    torch.testing.assert_close(gradient(chunked), gradient(whole), rtol=1e-4, atol=1e-7)


def test_cached_keeps_the_graph_of_one_part_at_a_time():
    watched = Watched(linear())
    loss = contrast(cached(watched, [(rows()[part],) for part in slices(12, 2)], CPU))

    assert (watched.alive, watched.most) == (0, 1)
    loss.backward()
    assert (watched.alive, watched.most) == (0, 1)


def test_cached_drops_the_same_features_when_a_part_is_computed_again():
    whole, chunked = linear(0.5), linear(0.5)
    parts = [(rows()[part],) for part in slices(12, 5)]
    torch.manual_seed(3)
    contrast(torch.cat([Watched(whole)(*part) for part in parts])).backward()

    torch.manual_seed(3)
    contrast(cached(Watched(chunked), parts, CPU)).backward()

    torch.testing.assert_close(gradient(chunked), gradient(whole), rtol=1e-5, atol=1e-7)


class Mean(nn.Module):
    """A loss that is a weighted mean over users, against sentences that all share; one parameter is never used."""

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.user, self.unused = linear(dropout), nn.Parameter(torch.ones(1))
        self.watched = Watched(self.user)

    def losses(self, x_BD, weight_B, shared_CD):
        score_BC = self.watched(x_BD) @ shared_CD.T
        loss = weighted_mean(F.softplus(score_BC).mean(1), weight_B)
        return loss, {"loss": loss}

    def parts(self, chunk):
        weight_B = torch.tensor([1.0, 0.0, 2.0] * 4)
        return [(rows()[part], weight_B[part]) for part in slices(12, chunk)]


@pytest.mark.parametrize("chunk", [1, 5, 12])
def test_accumulated_equals_the_whole_batch_for_weighted_means_over_users(chunk):
    whole, chunked = Mean(), Mean()
    sentences = [torch.ones(3, 4, requires_grad=True) for _ in range(2)]
    expected, _ = whole.losses(*whole.parts(0)[0], sentences[0])
    (2 * expected).backward()

    loss, metrics = accumulated(chunked.losses, chunked.parts(chunk), chunked, sentences[1])
    (2 * loss).backward()

    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(metrics["loss"], expected.detach())
    torch.testing.assert_close(gradient(chunked.user), gradient(whole.user), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(sentences[1].grad, sentences[0].grad, rtol=1e-4, atol=1e-7)
    assert chunked.unused.grad is None, "what no part used gets no gradient, so it is not decayed either"


def test_accumulated_keeps_the_graph_of_one_part_at_a_time_and_drops_features_once():
    whole, chunked = Mean(0.5), Mean(0.5)
    sentences = torch.ones(3, 4)
    torch.manual_seed(3)
    terms = [(whole.losses(*part, sentences)[0], part[1].sum()) for part in whole.parts(2)]
    sum(loss * weight / 12 for loss, weight in terms).backward()

    torch.manual_seed(3)
    loss, _ = accumulated(chunked.losses, chunked.parts(2), chunked, sentences)
    assert (chunked.watched.alive, chunked.watched.most) == (0, 1)
    loss.backward()

    torch.testing.assert_close(gradient(chunked.user), gradient(whole.user), rtol=1e-4, atol=1e-7)


def test_without_gradients_accumulated_is_the_mean_alone():
    mean = Mean()
    with torch.no_grad():
        loss, metrics = accumulated(mean.losses, mean.parts(5), mean, torch.ones(3, 4))
        expected, _ = mean.losses(*mean.parts(0)[0], torch.ones(3, 4))

    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(metrics["loss"], expected)
    assert not loss.requires_grad


@pytest.fixture(scope="module")
def stages(tmp_path_factory, tiny_pairs, encoder, text_cache):
    """Each kind of stage, without dropout."""
    folder = tmp_path_factory.mktemp("models")
    found = {}
    for kind, number, alignment in (("stage 1", 1, "sigmoid"), ("sigmoid", 2, "sigmoid"), ("infonce", 2, "infonce")):
        recipe = replace(quiet(tiny()), alignment=alignment)
        job = make_job(folder, tiny_pairs, recipe=recipe, encoder=encoder, cache=text_cache)
        found[kind] = undropped(stage_of(number, job)).train()
        _groups(found[kind], recipe)
    return found


def step_of(stage, number):
    """Loss, metrics and gradients of one batch."""
    stage.zero_grad()
    torch.manual_seed(0)
    loss, metrics = stage(some_users(11), torch.tensor([1.0] * 10 + [0.0]), Step(number, 0, Ranks()))
    loss.backward()
    gradients = {n: p.grad.clone() for n, p in checkpoint.trained(stage).items() if p.grad is not None}
    return float(loss.detach()), {name: float(value.detach()) for name, value in metrics.items()}, gradients


@pytest.mark.parametrize("number", [0, 1], ids=["live through LoRA", "cached texts"])
@pytest.mark.parametrize("kind", ["stage 1", "sigmoid", "infonce"])
def test_a_stage_in_chunks_gives_the_gradient_of_the_whole_batch(stages, kind, number):
    loss, metrics, gradients = step_of(copy.deepcopy(stages[kind]), number)

    its_loss, its_metrics, its_gradients = step_of(in_chunks(stages[kind]), number)

    assert its_loss == pytest.approx(loss, rel=1e-5)
    assert its_metrics == pytest.approx(metrics, rel=1e-5)
    assert set(its_gradients) == set(gradients)
    assert any("lora_" in name for name in gradients) == (kind != "stage 1" and number == 0)
    whole, chunked = (torch.cat([g[n].flatten() for n in gradients]) for g in (gradients, its_gradients))
    assert float((chunked - whole).norm() / whole.norm()) < 1e-4
