"""The user tower: three source encoders, their fusion, and the vector that an index holds.

One head keeps the encoder's space, the other projects (`Recipe.embedding`).

Shape suffixes: B users, N packed texts, S search slots, V distinct texts, D width, H text heads, M embedding.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.batch import AGES, UserBatch
from model.blocks import Packing, segment_mean, segment_softmax, weighted_sum
from model.config import Recipe
from model.fusion import SourceTokens, fusion
from model.sequence import EncodedText, SequenceEncoder, in_user_order
from model.table import TableEncoder
from model.vocabulary import Vocabulary


class SearchEncoder(nn.Module):
    """f_omega (equation 10): the cached encodings of the searches, with their ages."""

    def __init__(self, recipe: Recipe, *, text_width: int) -> None:
        super().__init__()
        self.text = nn.Linear(text_width, recipe.width)
        self.age = nn.Embedding(AGES, recipe.width)

    def forward(self, batch: UserBatch, text_VE: Tensor) -> EncodedText:
        user_N, place_N = (batch.search_text_BS > 0).nonzero(as_tuple=True)
        text_N, age_N = batch.search_text_BS[user_N, place_N], batch.search_age_BS[user_N, place_N]
        return EncodedText(F.gelu(self.text(text_VE[text_N]) + self.age(age_N)), text_N, age_N, user_N)


class FusedUser(nn.Module):
    """The three source encoders and their fusion."""

    def __init__(self, recipe: Recipe, *, text_width: int, vocabulary: Vocabulary) -> None:
        super().__init__()
        self.sequence = SequenceEncoder(recipe, text_width=text_width)
        self.table = TableEncoder(recipe, sizes=vocabulary.sizes, numbers=len(vocabulary.activity))
        self.searches = SearchEncoder(recipe, text_width=text_width)
        self.fusion = fusion(recipe)

    def encode(self, batch: UserBatch, text_VE: Tensor) -> tuple[Tensor, EncodedText]:
        """e^f [B, D], and the encoded events and searches in user order."""
        _, context_BWD, events = self.sequence(batch, text_VE)
        cell_BFD = self.table(batch.cells_BF)
        searches = self.searches(batch, text_VE)
        is_search_BS = batch.search_text_BS > 0
        behaviour = SourceTokens(
            self.sequence.pooled(context_BWD, batch), context_BWD, batch.is_window_BW, batch.has_events_B
        )
        table = SourceTokens(
            self.table.pooled(cell_BFD, batch.activity_BA),
            cell_BFD,
            torch.ones_like(batch.cells_BF, dtype=torch.bool),
            torch.ones_like(batch.has_events_B),
        )
        searched = SourceTokens(
            segment_mean(searches.encoded_ND, searches.user_N, len(batch)),
            Packing(is_search_BS).unpack(searches.encoded_ND),
            is_search_BS,
            batch.has_searches_B,
        )
        return self.fusion((behaviour, table, searched)), in_user_order(events, searches)


GATE = 1.5
"""The gates' start: how much the history's own texts weigh before training."""


class UserTower(FusedUser):
    """[B, M + 2]: propensity, then the text part, then a constant 1 that meets the sentence's own bias.

    The text part is what the fused embedding says plus a weighted sum of the history's own text vectors: the
    encoder's space is kept, so a sentence that training never saw still finds the histories near it.
    """

    def __init__(self, recipe: Recipe, *, text_width: int, vocabulary: Vocabulary) -> None:
        super().__init__(recipe, text_width=text_width, vocabulary=vocabulary)
        self.attend = nn.Linear(recipe.width, recipe.text_heads)
        self.attend_age = nn.Embedding(AGES, recipe.text_heads)
        self.gate = nn.Linear(recipe.width, recipe.text_heads)
        self.head = nn.Sequential(nn.Linear(recipe.width, 2 * recipe.width), nn.GELU(), nn.Dropout(recipe.head_dropout))
        self.text_part = nn.Linear(2 * recipe.width, text_width)
        self.propensity = nn.Linear(2 * recipe.width, 1)
        for quiet in (self.attend_age, self.text_part, self.gate):
            nn.init.zeros_(quiet.weight)
        nn.init.constant_(self.gate.bias, GATE)

    def forward(self, batch: UserBatch, text_VE: Tensor) -> tuple[Tensor, EncodedText]:
        """The users' vectors, and the texts of their histories in user order."""
        fused_BD, texts = self.encode(batch, text_VE)
        hidden = self.head(fused_BD)
        text_BM = self.text_part(hidden) + self._recall(texts, text_VE, self.gate(fused_BD))
        return torch.cat([self.propensity(hidden), text_BM, torch.ones_like(text_BM[:, :1])], 1), texts

    def _recall(self, texts: EncodedText, text_VE: Tensor, gate_BH: Tensor) -> Tensor:
        """[B, M]: each head softmax-weights the history's texts; the gates sum the heads."""
        logit_NH = self.attend(texts.encoded_ND) + self.attend_age(texts.age_N)
        weight_N = (segment_softmax(logit_NH, texts.user_N, len(gate_BH)) * gate_BH[texts.user_N]).sum(1)
        return weighted_sum(text_VE, texts.text_N, weight_N, texts.user_N, len(gate_BH))


class ProjectedUserTower(FusedUser):
    """[B, M + 2]: 0, the unit projection of e^f, a constant 1: its inner product with a sentence is their cosine."""

    def __init__(self, recipe: Recipe, *, text_width: int, vocabulary: Vocabulary) -> None:
        super().__init__(recipe, text_width=text_width, vocabulary=vocabulary)
        self.project = nn.Linear(recipe.width, recipe.embedding)

    def forward(self, batch: UserBatch, text_VE: Tensor) -> tuple[Tensor, EncodedText]:
        """The users' vectors, and the texts of their histories in user order."""
        fused_BD, texts = self.encode(batch, text_VE)
        vector_BM = F.normalize(self.project(fused_BD), dim=-1)
        return torch.cat([torch.zeros_like(vector_BM[:, :1]), vector_BM, torch.ones_like(vector_BM[:, :1])], 1), texts


def user_tower(recipe: Recipe, *, text_width: int, vocabulary: Vocabulary) -> UserTower | ProjectedUserTower:
    """The recipe's."""
    chosen = ProjectedUserTower if recipe.embedding else UserTower
    return chosen(recipe, text_width=text_width, vocabulary=vocabulary)
