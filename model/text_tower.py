"""The text tower (equation 12): a language model with LoRA, and the head that meets the user vector.

One head keeps the encoder's space, the other projects (`Recipe.embedding`).

Shape suffixes: N sentences, E encoder width, M embedding.
"""

import math
from collections.abc import Sequence

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from model.config import Recipe
from model.late import BIAS_LATE
from model.text_encoder import TextEncoder
from model.text_space import TextSpace

YEAR_DAYS = 365.25
BIAS = -4.0
"""The bias's start: few sentences happen to a user."""
SEASONS = 4
"""Sine and cosine of the cut-off's day in the year, once and twice a year."""


class AdaptedText(nn.Module):
    """A language model with LoRA (Hu et al. 2022) on its linear layers, and the space of the event encoder."""

    def __init__(self, recipe: Recipe, encoder: TextEncoder, space: TextSpace) -> None:
        super().__init__()
        lora = LoraConfig(r=recipe.lora_rank, lora_alpha=recipe.lora_alpha, target_modules="all-linear")
        self.encoder = encoder
        self.adapted = get_peft_model(encoder.transformer, lora)
        self.space = space

    def live(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors [N, E] through LoRA, with gradient."""
        tokens = self.encoder.tokens(texts)
        return self.encoder.pooled(self.adapted(**tokens).last_hidden_state, tokens["attention_mask"])


class ProjectedTextTower(AdaptedText):
    """[N, M + 2]: a constant 1, the unit projection e^q, 0: its inner product with a projected user is their cosine.

    Neither season nor bias: InfoNCE compares sentences of one user, never users, so it could train neither.
    """

    def __init__(self, recipe: Recipe, encoder: TextEncoder, space: TextSpace) -> None:
        super().__init__(recipe, encoder, space)
        self.project = nn.Linear(encoder.width, recipe.embedding)

    def vectors(self, encoded_NE: Tensor) -> Tensor:
        """[N, M]"""
        return nn.functional.normalize(self.project(encoded_NE), dim=-1)

    def biases(self, encoded_NE: Tensor, day: int) -> Tensor:
        """[N, 2], all 0."""
        del day
        return encoded_NE.new_zeros(len(encoded_NE), 2)

    def late_query(self, encoded_NE: Tensor) -> Tensor:
        """[N, 0]: there is no late interaction in another space than that of the events."""
        return encoded_NE[:, :0]

    def forward(self, encoded_NE: Tensor, day: int) -> Tensor:
        """The sentences' vectors from their live encodings; the same on every day."""
        vector_NM, bias_N2 = self.vectors(encoded_NE), self.biases(encoded_NE, day)
        return torch.cat([torch.ones_like(vector_NM[:, :1]), vector_NM, bias_N2[:, :1]], 1)


class TextTower(AdaptedText):
    """[N, M + 2]: a constant 1 that meets the propensity, the sentence's vector, the sentence's own bias.

    The season enters here, in the bias: how likely a sentence is at that time of the year, for anyone. A
    user's vector stays the same while the year goes by.
    """

    def __init__(self, recipe: Recipe, encoder: TextEncoder, space: TextSpace) -> None:
        super().__init__(recipe, encoder, space)
        width, self.size = encoder.width, recipe.served
        self.project = nn.Linear(width, width, bias=False)
        self.bias_text = nn.Linear(width, recipe.width)
        self.bias_season = nn.Linear(SEASONS, recipe.width, bias=False)
        self.bias = nn.Linear(recipe.width, 2)
        nn.init.eye_(self.project.weight)
        with torch.no_grad():
            self.bias.bias.copy_(torch.tensor([BIAS, BIAS_LATE]))

    def vectors(self, encoded_NE: Tensor) -> Tensor:
        """[N, M]"""
        return self.space.turned(self.project(self.space.asked(encoded_NE)), self.size)

    def late_query(self, encoded_NE: Tensor) -> Tensor:
        """[N, E]: what late interaction asks with."""
        return self.space.asked(encoded_NE)

    def biases(self, encoded_NE: Tensor, day: int) -> Tensor:
        """[N, 2]: the log odds of each sentence for a user of no propensity, as of a day since 1970-01-01, and what
        late interaction adds to them."""
        return self.seasonal(self.bias_text(self.space.asked(encoded_NE)), day)

    def seasonal(self, read_ND: Tensor, day: int) -> Tensor:
        """[N, 2]: the biases from what `bias_text` read in the sentences."""
        season_D = self.bias_season(seasons(day).to(read_ND))
        return self.bias(nn.functional.gelu(read_ND + season_D))

    def forward(self, encoded_NE: Tensor, day: int) -> Tensor:
        """The sentences' vectors from their encodings, cached or live, for the cut-off on that day."""
        vector_NM, bias_N2 = self.vectors(encoded_NE), self.biases(encoded_NE, day)
        return torch.cat([torch.ones_like(vector_NM[:, :1]), vector_NM, bias_N2[:, :1]], 1)


def text_tower(recipe: Recipe, encoder: TextEncoder, space: TextSpace) -> TextTower | ProjectedTextTower:
    """The recipe's."""
    return (ProjectedTextTower if recipe.embedding else TextTower)(recipe, encoder, space)


def seasons(day: int) -> Tensor:
    """[4]"""
    angle = day * (2 * math.pi / YEAR_DAYS)
    return torch.tensor([math.sin(angle), math.cos(angle), math.sin(2 * angle), math.cos(2 * angle)])
