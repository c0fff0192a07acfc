"""A checkpoint restores a run exactly, belongs to one run, and is replaced whole or not at all."""

import pytest
import torch
from torch import nn

from feature_repo.contracts.errors import FoundError
from model import checkpoint

RUN = {"recipe": {"name": "tiny"}, "pairs": "abc", "seed": 0}


def module_and_optimizer(seed: int = 0):
    torch.manual_seed(seed)
    module = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1))
    module[0].bias.requires_grad_(False)
    return module, torch.optim.AdamW(checkpoint.trained(module).values(), lr=0.1)


def advance(module, optimizer, *, steps: int, start: int = 0) -> list[float]:
    losses = []
    for number in range(start, start + steps):
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(number))
        loss = module(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def test_a_restored_run_goes_on_bit_by_bit(tmp_path):
    path = tmp_path / "deep" / "stage1.safetensors"
    module, optimizer = module_and_optimizer()
    advance(module, optimizer, steps=3)
    checkpoint.save(path, module, optimizer, {**RUN, "step": 3})
    expected = advance(module, optimizer, steps=3, start=3)

    again, its_optimizer = module_and_optimizer()

    assert checkpoint.load(path, again, its_optimizer, RUN).step == 3
    assert advance(again, its_optimizer, steps=3, start=3) == expected


def test_without_a_checkpoint_a_run_starts_at_step_0(tmp_path):
    module, optimizer = module_and_optimizer()

    assert checkpoint.load(tmp_path / "none.safetensors", module, optimizer, RUN) == checkpoint.Resumed(0, {}, {})


@pytest.mark.parametrize("key", ["recipe", "pairs", "seed"])
def test_a_checkpoint_of_another_run_is_refused_by_what_differs(tmp_path, key):
    path = tmp_path / "stage1.safetensors"
    module, optimizer = module_and_optimizer()
    checkpoint.save(path, module, optimizer, {**RUN, "step": 0})

    with pytest.raises(FoundError) as refused:
        checkpoint.load(path, module, optimizer, RUN | {key: "another"})
    assert str(refused.value) == (f"{path} belongs to another run (['{key}'] differ): remove it or use its settings.")


def test_a_crash_while_saving_leaves_the_former_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "stage1.safetensors"
    module, optimizer = module_and_optimizer()
    checkpoint.save(path, module, optimizer, {**RUN, "step": 1})

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("model.checkpoint.os.replace", crash)
        with pytest.raises(KeyboardInterrupt):
            checkpoint.save(path, module, optimizer, {**RUN, "step": 2})

    assert checkpoint.load(path, module, optimizer, RUN).step == 1
    checkpoint.save(path, module, optimizer, {**RUN, "step": 3})
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert checkpoint.load(path, module, optimizer, RUN).step == 3


def test_only_what_the_run_may_change_is_saved():
    module, _ = module_and_optimizer()

    assert set(checkpoint.trained(module)) == {"0.weight", "1.weight", "1.bias"}


def test_notes_and_kept_tensors_come_back_as_they_are(tmp_path):
    path = tmp_path / "stage1.safetensors"
    module, optimizer = module_and_optimizer()
    best = checkpoint.weights(module)
    advance(module, optimizer, steps=1)
    notes = {"history": [{"step": 1, "loss": 0.1}], "lowest": 1e-45}
    checkpoint.save(path, module, optimizer, {**RUN, "step": 1}, notes=notes, kept=best)

    resumed = checkpoint.load(path, module, optimizer, RUN)

    assert (resumed.step, resumed.notes) == (1, notes)
    assert set(resumed.kept) == set(best)
    for name, value in best.items():
        torch.testing.assert_close(resumed.kept[name], value, rtol=0, atol=0)


def test_weights_are_a_copy_that_can_be_restored():
    module, optimizer = module_and_optimizer()
    before = checkpoint.weights(module)
    advance(module, optimizer, steps=1)
    assert any(not torch.equal(p, before[n]) for n, p in checkpoint.trained(module).items())

    checkpoint.restore(module, before)

    assert all(torch.equal(p, before[n]) for n, p in checkpoint.trained(module).items())
