"""LURM (Yang et al. 2021): bags of interests and the multi-anchor encoder of model/lurm, behind the shared head.

The bags count the events that the pairs hold, the newest of each source; those of build_interests.py count the full
life. Shape suffixes: B users, L history slots, N entries of bags, M anchors, D width.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch

from model.baselines.loop import seeded
from model.baselines.training import Reader, Training, count_of, history_days, history_keys
from model.data import Columns
from model.lurm.bags import Bags
from model.lurm.encoder import MultiAnchorEncoder, Shape
from model.lurm.interests import Interests
from model.lurm.interests import fit as find_interests
from model.lurm.train import OPTIMISATION, train_encoder

CLUSTERS = 1_000
PERIOD_DAYS = 30
SHAPE = Shape()


@dataclass(frozen=True)
class Anchors:
    """Columns of users -> float32 [B, M * D]."""

    reader: Reader
    interests: Interests
    encoder: MultiAnchorEncoder

    @torch.no_grad()
    def embed(self, users: Columns) -> "np.ndarray":
        return self.encoder(self.bags(users)).flatten(1).numpy()

    def bags(self, users: Columns) -> Bags:
        """The bags of these users; period 0 is the newest."""
        key_BL = history_keys(users)
        table = self.reader.encoder.cache.table().select(key_BL)
        interest_V = np.concatenate([[0], self.interests.of(table.vectors[1:])]).astype(np.int64)
        user_N, place_N = key_BL.nonzero()
        age_N = users["cutoff_day"][user_N] - history_days(users)[user_N, place_N]
        interest_N = interest_V[table.rows(key_BL[user_N, place_N])]
        return counted(count_of(users), user_N, (age_N.astype(np.int64) - 1) // PERIOD_DAYS, interest_N)


def counted(users: int, user_N: "np.ndarray", ago_N: "np.ndarray", interest_N: "np.ndarray") -> Bags:
    """One entry for each (user, period, interest) of these events, with how many there are."""
    periods, interests = int(ago_N.max(initial=0)) + 1, int(interest_N.max(initial=0)) + 1
    code_N, count_N = np.unique((user_N * periods + ago_N) * interests + interest_N, return_counts=True)
    bag_N, interest_N = np.divmod(code_N, interests)
    return Bags(tuple(map(str, range(users))), *np.divmod(bag_N, periods), interest_N, count_N)


def pretrained(training: Training) -> Anchors:
    """Interests of the pairs' texts, and the encoder after NT-Xent on two views of each user's newest history."""
    vectors = np.asarray(training.texts.vectors[1:])
    fingerprint = training.encoder.cache.folder.name
    with seeded(training.seed):
        interests = find_interests(vectors, clusters=CLUSTERS, seed=training.seed, encoder=fingerprint)
        encoder = MultiAnchorEncoder.untrained(SHAPE, interests, seed=training.seed)
        users = Anchors(training.reader, interests, encoder)
        steps = round(training.effort.pretraining * OPTIMISATION.steps)
        if steps:
            bags = users.bags(training.newest())
            train_encoder(encoder, bags, optimisation=replace(OPTIMISATION, steps=steps), seed=training.seed)
    return users
