"""The one loop that trains either stage on any number of processes."""

import math
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
from model.blocks import Block
from model.config import Optimisation, Recipe
from model.data import Columns, Loader
from model.distributed import Ranks
from model.early_stopping import EarlyStopping
from model.journal import Journal
from model.step import Outcome, Stage, Step, forward

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


def train(
    stage: nn.Module,
    loader: Loader,
    run: Run,
    ranks: Ranks,
    *,
    journal: Journal | None = None,
    held_out: Loader | None = None,
) -> list[float]:
    """Trains the stage in place; resumes from the run's checkpoint. Returns the loss of each step done here.

    The gradient equals that of one process with the whole batch: each rank's loss is weighted by its users.
    On a CPU the same run gives the same bits. With `held_out` (and patience) the stage ends with the weights that
    predict it best. Raises FoundError naming the batch where a loss is not finite.
    """
    journal = journal or Journal()
    stopping = None if held_out is None else EarlyStopping(held_out, run.optimisation, run.seed)
    try:
        with _repeatable(ranks.device):
            return _train(stage, loader, run, ranks, journal, stopping)
    finally:
        journal.close()


@contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """Sums in a fixed order: by default threads add the gradient of an indexed tensor in the order they arrive."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(device.type == "cpu")
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def _train(
    stage: nn.Module, loader: Loader, run: Run, ranks: Ranks, journal: Journal, stopping: EarlyStopping | None
) -> list[float]:
    optimisation = run.optimisation
    stage.to(ranks.device)
    optimizer = torch.optim.AdamW(_groups(stage, run.recipe), weight_decay=optimisation.weight_decay, fused=True)
    resumed = checkpoint.load(run.checkpoint, stage, optimizer, run.identity)
    if stopping:
        stopping.resume(resumed.notes, resumed.kept)
    model = _distributed(stage, optimisation, ranks)
    journal.begin(resumed.step, resumed.notes)
    losses: list[float] = []
    for number, columns in _batches(loader, resumed.step, optimisation.steps):
        if stopping and stopping.spent:
            break
        step, done = Step(number, run.seed, ranks), number + 1
        _set_rate(optimizer, optimisation, number)
        outcome = forward(model, columns, step, loader, precision=optimisation.precision)
        losses.append(_checked(outcome.loss, step, columns))
        optimizer.zero_grad(set_to_none=True)
        outcome.loss.backward()
        torch.nn.utils.clip_grad_norm_(checkpoint.trained(stage).values(), optimisation.clip_norm)
        optimizer.step()
        _report(outcome, step, optimizer, optimisation.steps, journal)
        if stopping and stopping.due(done):
            loss = stopping.look(stage, ranks)
            if ranks.is_first:
                journal.validated(done, loss, lowest=stopping.lowest)
        if ranks.is_first and done % SAVE_EVERY == 0:
            _save(run, stage, optimizer, done, journal, stopping)
    if stopping:
        checkpoint.restore(stage, stopping.best)
    return losses


def _save(
    run: Run,
    stage: nn.Module,
    optimizer: torch.optim.Optimizer,
    done: int,
    journal: Journal,
    stopping: EarlyStopping | None,
) -> None:
    notes, kept = journal.notes(), {}
    if stopping:
        notes, kept = notes | stopping.notes(), stopping.best
    checkpoint.save(run.checkpoint, stage, optimizer, {**run.identity, "step": done}, notes=notes, kept=kept)


def _batches(loader: Loader, done: int, steps: int) -> Iterator[tuple[int, Columns | None]]:
    return enumerate(islice(loader.steps(), done, steps), start=done)


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


def _distributed(stage: nn.Module, optimisation: Optimisation, ranks: Ranks) -> nn.Module:
    stage.train()
    for module in stage.modules() if optimisation.compile else ():
        if isinstance(module, Block):
            module.compile(dynamic=True)
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


def _report(outcome: Outcome, step: Step, optimizer: torch.optim.Optimizer, steps: int, journal: Journal) -> None:
    journal.count(outcome.all_users)
    done = step.number + 1
    if done % REPORT_EVERY and done != steps:
        return
    values = outcome.averaged(step.ranks)
    if step.ranks.is_first:
        journal.report(step.number, steps, values, learning_rate=optimizer.param_groups[0]["lr"])
