"""`python -m model.lurm.train --ds D`: trains the multi-anchor encoder on the bags of one ds, without labels."""

import argparse
import math
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.names import Workdir
from feature_repo.contracts.settings import read_settings
from feature_repo.contracts.windows import cutoff_instant
from model import pointers
from model.config import Optimisation
from model.lurm.bags import Bags, open_bags
from model.lurm.cluster import current_interests
from model.lurm.contrast import nt_xent, view
from model.lurm.encoder import MultiAnchorEncoder, Shape
from model.lurm.interests import Interests

TEMPERATURE = 0.1
HEAD = 128
OPTIMISATION = Optimisation(steps=300, batch_users=256, learning_rate=1e-3, weight_decay=0.0)
REPORT_EVERY = 50


def train_encoder(
    encoder: MultiAnchorEncoder, bags: Bags, *, optimisation: Optimisation = OPTIMISATION, seed: int
) -> list[float]:
    """Trains in place; returns the loss of each step. On a CPU the same seed gives the same bits.

    A projection head stands between the anchors and the loss and is thrown away (Chen et al. 2020, section 4.2).
    Raises FoundError where there are no two users to tell apart.
    """
    active = bags.of_users(np.unique(bags.user_N))
    if len(active) < 2:
        raise FoundError(f"contrastive training needs at least 2 users with events, found {len(active)}.")
    with _repeatable():
        return _train(encoder, active, optimisation, seed)


@contextmanager
def _repeatable() -> Iterator[None]:
    """Sums in a fixed order, as in model/trainer.py."""
    before = torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def _train(encoder: MultiAnchorEncoder, active: Bags, optimisation: Optimisation, seed: int) -> list[float]:
    torch.manual_seed(seed)
    width = encoder.shape.anchors * encoder.shape.width
    head = nn.Sequential(nn.Linear(width, HEAD), nn.GELU(), nn.Linear(HEAD, HEAD))
    parameters = [*encoder.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, weight_decay=optimisation.weight_decay)
    encoder.train()
    losses: list[float] = []
    for step in range(optimisation.steps):
        random = np.random.default_rng([seed, step])
        batch = active.of_users(random.permutation(len(active))[: optimisation.batch_users])
        one, other = (head(encoder(view(batch, random)).flatten(1)) for _ in range(2))
        loss = nt_xent(one, other, temperature=TEMPERATURE)
        losses.append(_checked(float(loss.detach()), step))
        for group in optimizer.param_groups:
            group["lr"] = _rate(optimisation, step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, optimisation.clip_norm)
        optimizer.step()
    encoder.eval()
    return losses


def _rate(optimisation: Optimisation, step: int) -> float:
    """Linear warm-up, then cosine to zero."""
    warm = min(1.0, (step + 1) / max(1, optimisation.warmup_steps))
    return optimisation.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * step / optimisation.steps))


def _checked(loss: float, step: int) -> float:
    if not math.isfinite(loss):
        raise FoundError(f"the loss of step {step} is {loss}: lower the learning rate.")
    if (step + 1) % REPORT_EVERY == 0:
        print(f"step {step + 1} nt_xent {loss:.4f}", file=sys.stderr, flush=True)
    return loss


def train_on(work: Workdir, bags: Path, *, shape: Shape, optimisation: Optimisation, seed: int) -> MultiAnchorEncoder:
    """The encoder trained on these bags of the current interests; the new version is the current one."""
    interests = Interests.load(current_interests(work))
    folder = open_bags(bags, interests=interests.version)
    encoder = MultiAnchorEncoder.untrained(shape, interests, seed=seed)
    encoder.metadata |= {"period_days": folder.manifest["period_days"], "ds": folder.manifest["ds"], "seed": seed}
    train_encoder(encoder, folder.read(), optimisation=optimisation, seed=seed)
    encoder.save(work.interest_encoder)
    pointers.set_current(work.interest_encoder, encoder.version)
    return encoder


def main() -> None:
    given = _arguments()
    settings = read_settings(os.environ, Path.cwd()).with_arguments(vars(given))
    try:
        shape = Shape(given.anchors, given.width, tuple(given.scales))
        optimisation = Optimisation(given.steps, OPTIMISATION.batch_users, OPTIMISATION.learning_rate, 0.0)
        bags = settings.work.interest_bags(cutoff_instant(given.ds).date())
        encoder = train_on(settings.work, bags, shape=shape, optimisation=optimisation, seed=given.seed)
    except FoundError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"encoder {encoder.version} in {settings.work.interest_encoder}", flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m model.lurm.train", description=__doc__)
    parser.add_argument("--ds", required=True, help="the cut-off of the bags")
    parser.add_argument("--workdir")
    parser.add_argument("--anchors", type=int, default=Shape.anchors)
    parser.add_argument("--width", type=int, default=Shape.width, help="of one anchor")
    parser.add_argument("--scales", type=int, nargs="+", default=Shape.scales, help="in periods")
    parser.add_argument("--steps", type=int, default=OPTIMISATION.steps)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
