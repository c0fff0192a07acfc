"""Few-shot targeting (section 4.4.2): by prompt tuning, which puts learnable tokens before the demand's and minimises
the triplet loss (14), and by correcting a sentence's scores."""

from datetime import date

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from feature_repo.contracts.errors import FoundError
from model.found import FoundModel
from model.losses import triplet_loss
from model.seeds import Population, corrected
from model.text_cache import TextTable
from model.vectors import Demand, Users

PROMPT_TOKENS = 8
STEPS = 30
LEARNING_RATE = 0.05
MARGIN = 0.5
MOST_SEEDS = 1_000
"""Equation 14 runs over all pairs of a positive and a negative."""


def answer_seeds(
    model: FoundModel, demand: str, day: date, positives: Users, negatives: Users, population: Users, vectors: TextTable
) -> Demand:
    """What to ask with when seed users say whom a sentence means, or with an empty demand, when they are all there is.

    The sentence's scores, or those of a prompt tuned on the seeds, are corrected by the seeds (model/seeds.py).
    `population` are some users like those to be ranked; `vectors` must hold every text of all these users. The same
    input gives the same answer. Raises FoundError where either side has no user.
    """
    if demand.strip():
        asked = model.read_demands([demand], day)[0]
    else:
        asked = tune_prompt(model, demand, day, positives.vectors, negatives.vectors)
    seeds = Users(np.concatenate([positives.vectors, negatives.vectors]), [*positives.texts, *negatives.texts])
    is_positive_S = np.arange(len(seeds.vectors)) < len(positives.vectors)
    others = Population(population.vectors, model.score(population, asked, vectors))
    return corrected(asked, seeds.vectors, model.score(seeds, asked, vectors), is_positive_S, others)


def tune_prompt(
    model: FoundModel, demand: str, day: date, positives: "np.ndarray", negatives: "np.ndarray", seed: int = 0
) -> Demand:
    """The tuned demand, to be used like any sentence.

    `positives` [P, width] and `negatives` [N, width] are the seed users' vectors, of which MOST_SEEDS a side are looked
    at. An empty demand tunes the prompt alone. The same seed gives the same demand. Raises FoundError where either side
    has no user.
    """
    if not len(positives) or not len(negatives):
        raise FoundError(
            f"prompt tuning needs seeds on both sides, found {len(positives)} positives and {len(negatives)} negatives."
        )
    near, far = (_some(side, seed).to(model.device) for side in (positives, negatives))
    prompt = nn.Parameter(_initial(model, seed))
    optimizer = torch.optim.Adam([prompt], lr=LEARNING_RATE)
    for _ in range(STEPS):
        encoded = _encode(model, prompt, demand)
        loss = triplet_loss(model.text.vectors(encoded)[0], near, far, margin=MARGIN) / (len(near) * len(far))
        (prompt.grad,) = torch.autograd.grad(loss, [prompt])
        optimizer.step()
    with torch.no_grad():
        return model.demands(_encode(model, prompt, demand), day)[0]


def _some(vectors: "np.ndarray", seed: int) -> Tensor:
    """The text parts of the vectors, of MOST_SEEDS drawn ones where there are more."""
    drawn = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:MOST_SEEDS])
    return torch.from_numpy(np.asarray(vectors, np.float32)[drawn, 1:-1])


def _initial(model: FoundModel, seed: int) -> Tensor:
    """Small noise around the mean token, so that tuning starts from the demand as it is read without seeds."""
    table = model.text.adapted.get_input_embeddings().weight
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(PROMPT_TOKENS, table.shape[1], generator=generator)
    return table.detach().mean(0) + 0.02 * noise.to(table.device)


def _encode(model: FoundModel, prompt_TE: Tensor, demand: str) -> Tensor:
    """[1, E]: the encoder over prompt and demand."""
    tokens = model.text.encoder.tokens([model.read(demand)])
    words_1TE = model.text.adapted.get_input_embeddings()(tokens["input_ids"])
    inputs_1TE = torch.cat([prompt_TE[None], words_1TE], 1).to(words_1TE)
    mask_1T = F.pad(tokens["attention_mask"], (len(prompt_TE), 0), value=1)
    hidden = model.text.adapted(inputs_embeds=inputs_1TE, attention_mask=mask_1T).last_hidden_state
    return model.text.encoder.pooled(hidden, mask_1T)
