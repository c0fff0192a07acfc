"""Equation 13 over ranks: each rank its own users against the sentences of all adds up to one process's loss."""

import math

import pytest
import torch
import torch.nn.functional as F

from model.distributed import Ranks
from model.losses import infonce_loss


def rows(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))


def by_the_paper(user_BD: torch.Tensor, text_BD: torch.Tensor) -> float:
    users, texts = F.normalize(user_BD, dim=1).numpy(), F.normalize(text_BD, dim=1).numpy()
    total = 0.0
    for i, user in enumerate(users):
        total -= user @ texts[i] - math.log(sum(math.exp(user @ text) for text in texts))
    return total / len(users)


@pytest.mark.parametrize("ends", [(7,), (3, 7), (1, 2, 7), (0, 5, 7)])
def test_the_losses_of_ranks_weighted_by_their_users_are_the_loss_of_all(ends):
    user_BD, text_BD = rows(7, 0), rows(7, 1)
    total, first = 0.0, 0
    for end in ends:
        if own := end - first:
            positive_B = torch.arange(first, end)
            total += float(infonce_loss(user_BD[first:end], text_BD, torch.ones(own), positive_B)) * own / 7
        first = end

    assert total == pytest.approx(by_the_paper(user_BD, text_BD), rel=1e-5)


def test_a_user_of_weight_zero_changes_nothing():
    user_BD, text_BD = rows(4, 0), rows(4, 1)
    stranger = torch.cat([user_BD, 9 * rows(1, 2)])

    loss = infonce_loss(stranger, text_BD, torch.tensor([1.0] * 4 + [0.0]), torch.tensor([0, 1, 2, 3, 0]))

    assert float(loss) == pytest.approx(by_the_paper(user_BD, text_BD), rel=1e-5)


def test_one_process_gathers_its_own_rows_as_they_are():
    rows_ND = rows(3, 0)

    gathered, first = Ranks().all_rows_with_gradient(rows_ND)

    assert gathered is rows_ND and first == 0
