"""The one loop that trains either stage on any number of processes."""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from feature_repo.contracts.errors import FoundError
from model import checkpoint
from model.config import Optimisation, Recipe
from model.data import Columns, Loader
from model.distributed import Ranks
from model.stages import Stage, Step

REPORT_EVERY = 20
SAVE_EVERY = 100


@dataclass(frozen=True)
class Run:
    """What identifies a run, and where its checkpoint lies."""

    recipe: Recipe
    optimisation: Optimisation
    seed: int
    checkpoint: Path
    identity: Mapping[str, Any]


def train(stage: nn.Module, loader: Loader, run: Run, ranks: Ranks) -> list[float]:
    """Trains the stage in place; resumes from the run's checkpoint. Returns the loss of each step done here.

    The gradient equals that of one process with the whole batch: each rank's loss is weighted by its users.
    On a CPU the same run gives the same bits. Raises FoundError naming the batch where a loss is not finite.
    """
    with _repeatable(ranks.device):
        return _train(stage, loader, run, ranks)


@contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """Sums in a fixed order: by default threads add the gradient of an indexed tensor in the order they arrive."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(device.type == "cpu")
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def _train(stage: nn.Module, loader: Loader, run: Run, ranks: Ranks) -> list[float]:
    stage.to(ranks.device)
    optimizer = torch.optim.AdamW(_groups(stage, run.recipe), weight_decay=run.optimisation.weight_decay, fused=True)
    done = checkpoint.load(run.checkpoint, stage, optimizer, run.identity)
    model = _distributed(stage, ranks)
    losses: list[float] = []
    started = time.monotonic()
    for number, columns in _batches(loader, done, run.optimisation.steps):
        step = Step(number, run.seed, ranks)
        _set_rate(optimizer, run.optimisation, number)
        loss, metrics = _forward(model, columns, step, loader)
        losses.append(_checked(loss, step, columns))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(checkpoint.trained(stage).values(), run.optimisation.clip_norm)
        optimizer.step()
        _report(number, run, metrics, losses, started, ranks)
        if ranks.is_first and (number + 1) % SAVE_EVERY == 0:
            checkpoint.save(run.checkpoint, stage, optimizer, {**run.identity, "step": number + 1})
    return losses


def _batches(loader: Loader, done: int, steps: int) -> Iterator[tuple[int, Columns | None]]:
    return enumerate(islice(loader.steps(), done, steps), start=done)


def _forward(
    model: nn.Module, columns: Columns | None, step: Step, loader: Loader
) -> tuple[Tensor, Mapping[str, Tensor]]:
    """The loss of this rank's users, scaled so that DDP's mean over ranks is the mean over all users."""
    ranks = step.ranks
    torch.manual_seed((step.seed * 1_000_003 + step.number) * 64 + ranks.rank)
    users = len(columns["user_key"]) if columns is not None else 0
    total = float(ranks.all_sum(torch.tensor(float(users), device=ranks.device)))
    if columns is None:
        columns = loader.any_batch()
    weight_B = torch.full((len(columns["user_key"]),), 1.0 if users else 0.0, device=ranks.device)
    loss, metrics = model(columns, weight_B, step)
    return loss * (users * ranks.world / total), metrics


def _groups(stage: nn.Module, recipe: Recipe) -> list[dict[str, Any]]:
    """The stage's parameter groups; everything else is frozen."""
    assert isinstance(stage, Stage)
    groups = stage.parameter_groups(recipe)
    for parameter in stage.parameters():
        parameter.requires_grad_(False)
    for group in groups:
        group["initial_lr"] = group["lr"]
        for parameter in group["params"]:
            parameter.requires_grad_(True)
    return groups


def _distributed(stage: nn.Module, ranks: Ranks) -> nn.Module:
    stage.train()
    if ranks.world == 1:
        return stage
    return DistributedDataParallel(stage, find_unused_parameters=True)


def _set_rate(optimizer: torch.optim.Optimizer, optimisation: Optimisation, number: int) -> None:
    """Linear warm-up, then cosine to zero (section 5.1.4)."""
    warm = min(1.0, (number + 1) / max(1, optimisation.warmup_steps))
    share = 0.5 * (1 + math.cos(math.pi * number / optimisation.steps))
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * warm * share


def _checked(loss: Tensor, step: Step, columns: Columns | None) -> float:
    value = float(loss.detach())
    if not math.isfinite(value):
        users = [] if columns is None else columns["user_key"][:3].tolist()
        raise FoundError(
            f"the loss of step {step.number} is {value}: its batch starts with the users (by key) {users}. "
            "Look for extreme amounts or profile numbers there, or lower the learning rate."
        )
    return value


def _report(
    number: int, run: Run, metrics: Mapping[str, Tensor], losses: list[float], started: float, ranks: Ranks
) -> None:
    last = number + 1 == run.optimisation.steps
    if not ranks.is_first or ((number + 1) % REPORT_EVERY and not last):
        return
    rate = len(losses) / (time.monotonic() - started)
    parts = " ".join(f"{name} {float(value.detach()):.4f}" for name, value in metrics.items())
    pairs = rate * run.optimisation.batch_users * ranks.world
    left = (run.optimisation.steps - number - 1) / rate
    print(f"step {number + 1}/{run.optimisation.steps} {parts} | {pairs:,.0f} pairs/s, {left:.0f} s left", flush=True)
