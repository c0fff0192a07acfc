"""The one small loop that trains baselines: AdamW, cosine decay, a fixed number of steps, the same bits for a seed."""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from feature_repo.contracts.errors import FoundError
from model.baselines.training import Training
from model.config import Optimisation

Draw = np.random.Generator
PRETRAINING = Optimisation(steps=150, batch_users=192, learning_rate=4e-4)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Weights, dropout and sums that depend on the seed alone; the caller's generator is left as it was."""
    before = torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)


def optimise(
    module: nn.Module,
    loss: Callable[["np.ndarray", Draw], Tensor],
    *,
    rows: int,
    optimisation: Optimisation,
    effort: float,
    seed: int,
) -> None:
    """Trains the module in place on batches of row numbers below `rows`, then puts it in evaluation mode.

    `effort` is the share of the steps that is done, with the decay of the whole run shortened to it. Batch and draws
    of a step are functions of (seed, step). Raises FoundError where a loss is not finite.
    """
    steps = round(effort * optimisation.steps)
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=optimisation.learning_rate, weight_decay=optimisation.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, steps))
    module.train()
    for step in range(steps):
        draw = np.random.default_rng([seed, step])
        batch = draw.permutation(rows)[: optimisation.batch_users]
        value = loss(batch, draw)
        if not math.isfinite(float(value.detach())):
            raise FoundError(f"the loss of step {step} is {float(value.detach())}: lower the learning rate.")
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(module.parameters(), optimisation.clip_norm)
        optimizer.step()
        schedule.step()
    module.eval()


def pretrain(
    training: Training,
    module: nn.Module,
    loss: Callable[["np.ndarray", Draw], Tensor],
    *,
    rows: int,
    optimisation: Optimisation = PRETRAINING,
) -> None:
    """`optimise` with the effort that a user encoder is given, the same for every method."""
    effort = training.effort.pretraining
    optimise(module, loss, rows=rows, optimisation=optimisation, effort=effort, seed=training.seed)
