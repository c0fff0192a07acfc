"""MSDP (Fu et al. 2023): what the behaviours of a coming stretch of days are distributed as, for random stretches.

    L = CE(share of each kind of behaviour in [t, t + w), p(u_t, w)) + lambda (1 - cos) of SimSiam

u_t is the user as of a random day t of their life, w a random number of days that the predictor is told (the prompt),
kinds are clusters of texts, and "nothing" is one more kind. The second term (Chen and He 2021, equations 1 to 4) asks
that a user read without some of their events be predictable from the whole one, and the other way round. Frozen,
behind the shared head. Shape suffixes: B users, S stretches per user, K kinds, L event slots, D width.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.baselines.loop import Draw, pretrain, seeded
from model.baselines.sequences import UserSequences
from model.baselines.slices import between, day_within, ordered_days, thinned
from model.baselines.training import Training, count_of, history_days, history_keys
from model.data import Columns, rows_of
from model.lurm.interests import fit as find_interests

KINDS = 64
STRETCHES = 2
LONGEST_DAYS = 180
HIDDEN_SHARE = 0.3
WEIGHT = 0.1
"""lambda"""


class Msdp(nn.Module):
    """The user encoder with the heads of both terms."""

    def __init__(self, training: Training, *, kinds: int) -> None:
        super().__init__()
        width = training.recipe.width
        self.users = UserSequences(training, training.recipe)
        self.prompt = nn.Sequential(nn.Linear(1, width), nn.GELU(), nn.Linear(width, width))
        self.predict = nn.Sequential(nn.Linear(2 * width, width), nn.GELU(), nn.Linear(width, kinds + 1))
        self.siamese = nn.Sequential(nn.Linear(width, width // 2), nn.GELU(), nn.Linear(width // 2, width))

    def forward(self, users: Columns, thin: Columns, days_BS: Tensor, share_BSK: Tensor) -> Tensor:
        """L of users as of their days, and of the same users without some events."""
        user_BD, thin_BD = self.users(users), self.users(thin)
        prompt_BSD = self.prompt(days_BS.log1p()[..., None])
        logits_BSK = self.predict(torch.cat([user_BD[:, None].expand_as(prompt_BSD), prompt_BSD], -1))
        distribution = -(share_BSK * F.log_softmax(logits_BSK, -1)).sum(-1).mean()
        alike = self._alike(user_BD, thin_BD) + self._alike(thin_BD, user_BD)
        return distribution + WEIGHT * (1 - alike / 2)

    def _alike(self, one_BD: Tensor, other_BD: Tensor) -> Tensor:
        return F.cosine_similarity(self.siamese(one_BD), other_BD.detach()).mean()


class Stretches:
    """Draws days t, stretches w and the distributions in them from users' lives."""

    def __init__(self, training: Training, users: UserSequences, *, kinds: int) -> None:
        vectors = np.asarray(training.texts.vectors[1:])
        clusters = find_interests(vectors, clusters=kinds, seed=training.seed, encoder="")
        self.kinds, self.sources = len(clusters), users.view.sources
        kind_V = np.concatenate([[0], clusters.of(vectors) + 1])
        lives = training.newest()
        self.lives = rows_of(lives, np.flatnonzero(ordered_days(lives, self.sources)[1] > 1))
        self.kind_PL = kind_V[training.texts.rows(history_keys(self.lives, self.sources))]

    def __call__(self, batch: "np.ndarray", draw: Draw) -> tuple[Columns, Tensor, Tensor]:
        """The users as of t, days [B, S] and distributions [B, S, K + 1], "nothing" first."""
        lives = rows_of(self.lives, batch)
        day_BL, count_B = ordered_days(lives, self.sources)
        events_B = 1 + (draw.random(len(batch)) * (count_B - 1)).astype(np.int64)
        at_B = day_within(lives, day_BL, count_B, events_B, draw)
        days_BS = np.exp(draw.random((len(batch), STRETCHES)) * np.log(LONGEST_DAYS)).astype(np.int64)
        days_BS = np.clip(days_BS, 1, np.maximum(lives["cutoff_day"] - at_B, 1)[:, None])
        shares = [
            shares_between(history_days(lives, self.sources), self.kind_PL[batch], at_B, at_B + days_B, self.kinds)
            for days_B in days_BS.T
        ]
        before = between(lives, np.zeros_like(at_B), at_B, self.sources)
        return before, torch.from_numpy(days_BS).float(), torch.from_numpy(np.stack(shares, 1))


def shares_between(
    day_BL: "np.ndarray", kind_BL: "np.ndarray", first_B: "np.ndarray", end_B: "np.ndarray", kinds: int
) -> "np.ndarray":
    """float32 [B, K + 1]: how the events of the days [first, end) are distributed over kinds 1 to K; all of it is
    kind 0 where there are none."""
    is_in_BL = (day_BL >= first_B[:, None]) & (day_BL < end_B[:, None]) & (kind_BL > 0)
    count_BK = np.zeros((len(day_BL), kinds + 1), np.float32)
    np.add.at(count_BK, (np.arange(len(day_BL))[:, None], np.where(is_in_BL, kind_BL, 0)), is_in_BL)
    count_BK[:, 0] = ~is_in_BL.any(1)
    return np.asarray(count_BK / count_BK.sum(1, keepdims=True))


def pretrained(training: Training) -> UserSequences:
    """The sequence encoder after both terms on the lives of users with two events or more."""
    kinds = min(KINDS, len(training.strings))
    with seeded(training.seed):
        model = Msdp(training, kinds=kinds)
        stretches = Stretches(training, model.users, kinds=kinds)

        def loss(batch: "np.ndarray", draw: Draw) -> Tensor:
            users, days_BS, share_BSK = stretches(batch, draw)
            thin = thinned(users, stretches.sources, HIDDEN_SHARE, draw)
            return model(users, thin, days_BS, share_BSK)

        pretrain(training, model, loss, rows=count_of(stretches.lives))
    return model.users
