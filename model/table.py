"""The tabular encoder h_phi (equation 9): a TabTransformer over profile and activity columns, with the MLM and
RTD tasks of section 4.2.2.

Shape suffixes: B users, F table columns, D width.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model.blocks import Block, Packing
from model.config import Recipe
from model.losses import column_classifiers, mlm_loss, rtd_loss


class TableEncoder(nn.Module):
    """Each cell is its value's embedding plus its column's; e^(tab) is the mean of the columns, plus the
    activity columns as plain numbers, since bins alone would blunt them."""

    offset_F: Tensor

    def __init__(self, recipe: Recipe, *, sizes: Sequence[int], numbers: int) -> None:
        super().__init__()
        offsets = torch.tensor([0, *sizes]).cumsum(0)
        self.register_buffer("offset_F", offsets[:-1], persistent=False)
        self.value = nn.Embedding(sum(sizes), recipe.width)
        self.column = nn.Embedding(len(sizes), recipe.width)
        self.mask = nn.Parameter(torch.zeros(recipe.width))
        self.layers = nn.ModuleList(
            Block(recipe.width, recipe.heads, recipe.dropout) for _ in range(recipe.table_layers)
        )
        self.norm = nn.LayerNorm(recipe.width)
        self.numbers = nn.Sequential(nn.Linear(numbers, recipe.width), nn.GELU())

    def forward(self, cells_BF: Tensor, is_masked_BF: Tensor | None = None) -> Tensor:
        """[B, F, D]: the contextual embedding of every cell."""
        x_BFD = self.value(cells_BF + self.offset_F)
        if is_masked_BF is not None:
            x_BFD = torch.where(is_masked_BF[..., None], self.mask, x_BFD)
        x_BFD = x_BFD + self.column.weight
        users, columns = cells_BF.shape
        packing = Packing(torch.ones_like(cells_BF, dtype=torch.bool))
        everything = cells_BF.new_ones(1, 1, columns, dtype=torch.bool).expand(users, columns, -1)
        x_ND = x_BFD.flatten(0, 1)
        for layer in self.layers:
            x_ND = layer(x_ND, packing, everything)
        return self.norm(x_ND).unflatten(0, (users, columns))

    def pooled(self, cell_BFD: Tensor, activity_BA: Tensor) -> Tensor:
        """e^(tab) [B, D]."""
        return cell_BFD.mean(1) + self.numbers(activity_BA)


class TableTasks(nn.Module):
    """The heads of both tasks and the auxiliary generator that draws plausible replacements for RTD."""

    scale_F: Tensor

    def __init__(self, recipe: Recipe, *, sizes: Sequence[int]) -> None:
        super().__init__()
        self.masked_share = recipe.masked_share
        self.values = column_classifiers(recipe.width, sizes)
        self.generator = nn.Sequential(
            nn.Linear(len(sizes), recipe.width), nn.GELU(), nn.Linear(recipe.width, sum(sizes))
        )
        self.replaced = nn.ModuleList(nn.Linear(recipe.width, 1) for _ in sizes)
        self.sizes = list(sizes)
        scale = torch.tensor([1.0 / size for size in sizes])
        self.register_buffer("scale_F", scale, persistent=False)

    def forward(
        self, table: TableEncoder, cells_BF: Tensor, *, noise_BF3: Tensor, weight_B: Tensor
    ) -> tuple[Tensor, Tensor]:
        """L_MLM and the RTD loss (detector + generator). `noise_BF3` is uniform in [0, 1): what to mask, what to
        replace, and the draw of the replacement; it comes from outside so that ranks and re-runs agree."""
        is_masked_BF = noise_BF3[..., 0] < self.masked_share
        hidden_BFD = table(cells_BF, is_masked_BF)
        guesses = [head(hidden_BFD[:, i]) for i, head in enumerate(self.values)]
        is_chosen_BF = noise_BF3[..., 1] < self.masked_share
        generated = self._generate(cells_BF, is_chosen_BF)
        drawn_BF = torch.stack([draw(g, noise_BF3[:, i, 2]) for i, g in enumerate(generated)], 1)
        swapped_BF = torch.where(is_chosen_BF, drawn_BF, cells_BF)
        detected_BFD = table(swapped_BF)
        verdict_BF = torch.cat([head(detected_BFD[:, i]) for i, head in enumerate(self.replaced)], 1)
        rtd = rtd_loss(verdict_BF, swapped_BF != cells_BF, weight_B)
        return mlm_loss(guesses, cells_BF, is_masked_BF, weight_B), rtd + mlm_loss(
            generated, cells_BF, is_chosen_BF, weight_B
        )

    def _generate(self, cells_BF: Tensor, is_chosen_BF: Tensor) -> list[Tensor]:
        """Logits per column from the cells that were not chosen."""
        seen_BF = (cells_BF + 1) * self.scale_F
        return list(self.generator(seen_BF.masked_fill(is_chosen_BF, 0.0)).split(self.sizes, 1))


@torch.no_grad()
def draw(logits_BV: Tensor, uniform_B: Tensor) -> Tensor:
    """[B]: one value per row from its distribution, by inverting the cumulative distribution."""
    cumulative_BV = logits_BV.softmax(1).cumsum(1)
    return (cumulative_BV < uniform_B[:, None]).sum(1).clamp(max=logits_BV.shape[1] - 1)
