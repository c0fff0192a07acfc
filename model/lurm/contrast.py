"""What trains the encoder: two views of one life agree more than the lives of two users.

Shape suffixes: N entries, R bags, B users, D width.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model.lurm.bags import Bags

KEPT_PERIODS = 0.5
KEPT_ENTRIES = 0.8
"""Of the interests in the kept periods: so that users with one period have two views as well."""


def view(bags: Bags, random: np.random.Generator) -> Bags:
    """A random subset of each user's periods, and of what is in them; at least one entry of each user stays."""
    row_N, first_R = bags.rows()
    period_R = kept(random.random(len(first_R)), bags.user_N[first_R], KEPT_PERIODS)
    seen = bags.entries(period_R[row_N])
    return seen.entries(kept(random.random(len(seen.user_N)), seen.user_N, KEPT_ENTRIES))


def kept(draw_N: "np.ndarray", group_N: "np.ndarray", share: float) -> "np.ndarray":
    """bool [N]: draws below `share`, and the least draw of each group; `group_N` ascends."""
    if not len(draw_N):
        return np.zeros(0, bool)
    first = np.flatnonzero(np.append(True, group_N[1:] != group_N[:-1]))
    least_N = np.repeat(np.minimum.reduceat(draw_N, first), np.diff(np.append(first, len(draw_N))))
    return (draw_N < share) | (draw_N == least_N)


def nt_xent(one_BD: Tensor, other_BD: Tensor, *, temperature: float) -> Tensor:
    """NT-Xent (Chen et al. 2020, equation 1): of 2B views, the positive of each is the user's other one, the
    negatives are the 2B - 2 views of other users; s is the cosine. Returns the mean over the 2B views.
    """
    users = len(one_BD)
    views = F.normalize(torch.cat([one_BD, other_BD]), dim=1)
    similarity = views @ views.T / temperature
    itself = torch.eye(2 * users, dtype=torch.bool, device=views.device)
    positive = torch.arange(2 * users, device=views.device).roll(users)
    return F.cross_entropy(similarity.masked_fill(itself, -torch.inf), positive)
