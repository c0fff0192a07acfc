"""One batch through a stage: what a stage is, and its loss over the users of every rank."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor, nn

from model.config import Recipe
from model.data import Columns, Loader
from model.distributed import Ranks


@dataclass(frozen=True)
class Step:
    """Where a batch stands in a run; randomness is a function of (seed, step) alone."""

    number: int
    seed: int
    ranks: Ranks

    def generator(self, salt: int = 0) -> "np.random.Generator":
        """The same on every rank."""
        return np.random.default_rng([self.seed, self.number, salt])


def noise_for(user_key: "np.ndarray", features: int, step: Step) -> Tensor:
    """Uniform [B, F, 3] that depends on the user and the step, not on the rank or the place in the batch."""
    rows = [np.random.default_rng([step.seed, step.number, int(key)]).random((features, 3)) for key in user_key]
    return torch.from_numpy(np.stack(rows).astype(np.float32))


@runtime_checkable
class Stage(Protocol):
    """What the trainer asks of a stage."""

    def parameter_groups(self, recipe: Recipe) -> list[dict[str, Any]]: ...

    def __call__(self, columns: Columns, weight_B: Tensor, step: Step) -> tuple[Tensor, Mapping[str, Tensor]]: ...


@dataclass(frozen=True)
class Outcome:
    """What a batch gave: this rank's loss, scaled so that the mean over ranks is the mean over all users; the metrics
    of this rank's users; this rank's users, and those of all ranks."""

    loss: Tensor
    metrics: Mapping[str, Tensor]
    users: int
    all_users: float

    def averaged(self, ranks: Ranks) -> dict[str, float]:
        """The loss and the metrics over the users of all ranks; every rank must ask."""
        share = self.users * ranks.world / self.all_users
        values = [self.loss.detach(), *(value.detach() * share for value in self.metrics.values())]
        means = ranks.all_sum(torch.stack([value.float() for value in values])) / ranks.world
        return dict(zip(("loss", *self.metrics), means.tolist(), strict=True))


def float32(device: torch.device) -> torch.autocast:
    """A context in which nothing is computed in bfloat16: for losses and scores."""
    return torch.autocast(device.type, enabled=False)


def forward(model: nn.Module, columns: Columns | None, step: Step, loader: Loader, *, precision: str) -> Outcome:
    """The loss of this rank's users, scaled so that DDP's mean over ranks is the mean over all users.

    A rank that is out of data (None) computes any row at weight zero. `precision` "bfloat16" runs the linear layers
    and the attention in bfloat16; weights, losses and scores stay in float32.
    """
    ranks = step.ranks
    torch.manual_seed((step.seed * 1_000_003 + step.number) * 64 + ranks.rank)
    users = len(columns["user_key"]) if columns is not None else 0
    total = float(ranks.all_sum(torch.tensor(float(users), device=ranks.device)))
    if columns is None:
        columns = loader.any_batch()
    weight_B = torch.full((len(columns["user_key"]),), 1.0 if users else 0.0, device=ranks.device)
    with torch.autocast(ranks.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        loss, metrics = model(columns, weight_B, step)
    return Outcome(loss * (users * ranks.world / total), metrics, users, total)
