"""The alignment that all user vectors share: one small head into the text space, one budget, one loss.

    score(u, q) = p(u) + w(u) . q + b(q)

u is a user's frozen vector, q a sentence's unit vector in the lake's text space; p is the propensity. It is trained
by the pairwise sigmoid loss (Zhai et al. 2023, equation 1) over the sentences that the project's own stage 2 asks:
texts of futures by frequency, some of the users' own, "did nothing", and concepts. So a method without sentences of
its own answers zero-shot, and its scores are log odds.

Shape suffixes: P pairs, B users, F slots of a future, C sentences, V distinct texts, K concepts, D width of a user's
vector, E encoder width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from model.baselines.loop import Draw, optimise, seeded
from model.baselines.protocol import Scores
from model.baselines.training import Reader, Training, in_chunks
from model.config import Optimisation
from model.data import Columns, rows_of
from model.losses import sigmoid_loss

HIDDEN = 256
DROPOUT = 0.2
RARE = -4.0
"""The start of the sentences' bias: most sentences happen to few."""
MOST_PAIRS = 20_000
CHUNK_USERS = 512
OPTIMISATION = Optimisation(steps=400, batch_users=256, learning_rate=1e-3)

Embed = Callable[[Columns], "np.ndarray"]
"""Users to float32 [B, D]."""


class Head(nn.Module):
    """p, w and b; the users' vectors are standardised first."""

    mean_D: Tensor
    scale_D: Tensor

    def __init__(self, vector_PD: Tensor, *, text_width: int) -> None:
        super().__init__()
        self.register_buffer("mean_D", vector_PD.mean(0))
        self.register_buffer("scale_D", vector_PD.std(0, correction=0).clamp(min=1e-4))
        self.hidden = nn.Sequential(nn.Linear(vector_PD.shape[1], HIDDEN), nn.GELU(), nn.Dropout(DROPOUT))
        self.text_part = nn.Linear(HIDDEN, text_width)
        self.propensity = nn.Linear(HIDDEN, 1)
        self.bias = nn.Linear(text_width, 1)
        nn.init.constant_(self.bias.bias, RARE)

    def forward(self, vector_BD: Tensor, text_CE: Tensor) -> Tensor:
        """[B, C]: log odds."""
        hidden = self.hidden((vector_BD - self.mean_D) / self.scale_D)
        return self.propensity(hidden) + self.text_part(hidden) @ text_CE.T + self.bias(text_CE)[:, 0]


class Questions:
    """Draws the sentences of a batch, and says to whom each happens."""

    def __init__(self, training: Training) -> None:
        known, recipe = training.sentences, training.recipe
        self.known, self.recipe, self.space = known, recipe, training.reader.space
        share_V = np.power(known.count_V, 0.75)
        self.share_V = share_V / share_V.sum()
        self.vector_VE = np.asarray(training.texts.vectors[1:])
        member_KV = known.concepts.member_VC.T
        self.member_KV = np.concatenate([np.zeros_like(member_KV[:, :1]), member_KV], 1)

    def __call__(self, future_BF: "np.ndarray", draw: Draw) -> tuple[Tensor, Tensor]:
        """Unit vectors [C, E] and bool [B, C]; `future_BF` are rows of the text table, 0 where there are no more."""
        texts, concepts = self._texts(future_BF, draw), self._concepts(draw)
        happens = [happening(future_BF, texts + 1, len(self.share_V)), self._held(future_BF, concepts)]
        encoded = np.concatenate([self._encoded(texts, draw), self.known.concept_vectors[concepts]])
        return self.space.asked(torch.from_numpy(encoded)), torch.from_numpy(np.concatenate(happens, 1))

    def _texts(self, future_BF: "np.ndarray", draw: Draw) -> "np.ndarray":
        drawn = draw.choice(len(self.share_V), size=self.recipe.sampled_texts, p=self.share_V)
        order = np.argsort(np.where(future_BF > 0, draw.random(future_BF.shape), 2.0), axis=1)
        own = np.take_along_axis(future_BF, order[:, : self.recipe.positives_per_user], 1)
        return np.unique(np.concatenate([drawn, own[own > 0] - 1, [self.known.nothing]]))

    def _concepts(self, draw: Draw) -> "np.ndarray":
        return draw.permutation(len(self.known.concepts.words))[: self.recipe.sampled_concepts]

    def _held(self, future_BF: "np.ndarray", concepts: "np.ndarray") -> "np.ndarray":
        """bool [B, K]: whose future holds a text of each concept."""
        used = future_BF[:, (future_BF > 0).any(0)]
        return self.member_KV[concepts][:, used].any(2).T

    def _encoded(self, texts: "np.ndarray", draw: Draw) -> "np.ndarray":
        """Some of the texts as demands, as in stage 2."""
        phrase = self.known.phrase_of_V[texts]
        says_demand = (draw.random(len(texts)) < self.recipe.rephrased_share) & (phrase >= 0)
        encoded = self.vector_VE[texts]
        encoded[says_demand] = self.known.phrase_vectors[phrase[says_demand]]
        return encoded


def happening(future_BF: "np.ndarray", rows_C: "np.ndarray", texts: int) -> "np.ndarray":
    """bool [B, C]: in whose future each of these rows lies."""
    place_V = np.full(texts + 1, len(rows_C))
    place_V[rows_C] = np.arange(len(rows_C))
    happens = np.zeros((len(future_BF), len(rows_C) + 1), bool)
    happens[np.arange(len(future_BF))[:, None], place_V[future_BF]] = True
    return happens[:, :-1]


@dataclass(frozen=True)
class Aligned:
    """A user model behind the shared head."""

    embed: Embed
    head: Head
    reader: Reader

    def vectors(self, users: Columns) -> "np.ndarray":
        """float32 [B, D]: what the method itself says of users, before the head."""
        return embedded(self.embed, users)

    @torch.no_grad()
    def scores(self, users: Columns, demands: Sequence[str]) -> Scores:
        """float64 [B, C]: log odds."""
        score_BC = self.head(torch.from_numpy(self.vectors(users)), self.reader.asked(demands))
        return score_BC.double().numpy()


def align(training: Training, embed: Embed) -> Aligned:
    """The head trained on frozen vectors of at most MOST_PAIRS of the pairs."""
    rows = training.some(MOST_PAIRS)
    vector_PD = torch.from_numpy(embedded(embed, rows_of(training.columns, rows)))
    future_PF, questions = training.future_PF[rows], Questions(training)
    with seeded(training.seed):
        head = Head(vector_PD, text_width=training.encoder.cache.width)

        def loss(batch: "np.ndarray", draw: Draw) -> Tensor:
            text_CE, happens_BC = questions(future_PF[batch], draw)
            return sigmoid_loss(head(vector_PD[torch.from_numpy(batch)], text_CE), happens_BC)

        optimise(
            head,
            loss,
            rows=len(rows),
            optimisation=OPTIMISATION,
            effort=training.effort.alignment,
            seed=training.seed,
        )
    return Aligned(embed, head, training.reader)


class Embeds(Protocol):
    """A user encoder."""

    def embed(self, users: Columns) -> "np.ndarray":
        """float32 [B, D]"""
        ...


def behind(pretrained: Callable[[Training], Embeds]) -> Callable[[Training], Aligned]:
    """The method that puts a pre-trained user encoder, frozen, behind the head."""

    @wraps(pretrained)
    def fit(training: Training) -> Aligned:
        return align(training, pretrained(training).embed)

    return fit


def embedded(embed: Embed, users: Columns) -> "np.ndarray":
    """[B, D], computed in chunks."""
    return np.concatenate([embed(part) for part in in_chunks(users, CHUNK_USERS)])
