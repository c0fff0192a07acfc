"""Early stopping: the newest cut-off is held out, and the weights that predict it best are kept."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from feature_repo.contracts.errors import FoundError
from model import checkpoint
from model.config import Optimisation
from model.data import Loader
from model.distributed import Ranks
from model.step import Step, forward

MAX_BATCHES = 50
"""The batches of each rank that a look at the held-out cut-off takes at most."""


@dataclass
class EarlyStopping:
    """Watches the loss of the pairs that `loader` gives; the same on every rank, and after a resume."""

    loader: Loader
    optimisation: Optimisation
    seed: int
    lowest: float = math.inf
    waited: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)

    @property
    def spent(self) -> bool:
        """Whether the loss has not sunk `patience` looks in a row."""
        return self.waited >= self.optimisation.patience

    def due(self, done: int) -> bool:
        return done % self.optimisation.validate_every == 0 or done == self.optimisation.steps

    def look(self, stage: nn.Module, ranks: Ranks) -> float:
        """The loss now; keeps the weights where it is the lowest."""
        loss = held_out_loss(stage, self.loader, self.seed, ranks, precision=self.optimisation.precision)
        if loss < self.lowest or not self.best:
            self.lowest, self.waited, self.best = loss, 0, checkpoint.weights(stage)
        else:
            self.waited += 1
        return loss

    def resume(self, notes: Mapping[str, Any], kept: Mapping[str, Tensor]) -> None:
        self.lowest, self.waited = notes.get("lowest", math.inf), notes.get("waited", 0)
        self.best = dict(kept)

    def notes(self) -> dict[str, Any]:
        """What `resume` needs, beside the best weights."""
        return {"lowest": self.lowest, "waited": self.waited}


@torch.no_grad()
def held_out_loss(stage: nn.Module, loader: Loader, seed: int, ranks: Ranks, *, precision: str) -> float:
    """The mean loss over the users of a loader's first epoch, without dropout; a function of weights and seed alone.

    Raises FoundError where the loader has no pairs.
    """
    stage.eval()
    total = users = 0.0
    for number, columns in enumerate(islice(loader.epoch(0), MAX_BATCHES)):
        outcome = forward(stage, columns, Step(number, seed, ranks), loader, precision=precision)
        total += float(ranks.all_sum(outcome.loss)) / ranks.world * outcome.all_users
        users += outcome.all_users
    stage.train()
    if not users:
        raise FoundError(
            f"no pair in {loader.pairs.folder} has the newest cut-off, which patience holds out: build pairs at later "
            "cut-offs, or train without patience."
        )
    return total / users
