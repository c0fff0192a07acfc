"""Few-shot targeting by prompt tuning (section 4.4.2): learnable tokens before the demand's, triplet loss (14)."""

from datetime import date

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from feature_repo.contracts.errors import FoundError
from model.found import EPOCH, FoundModel
from model.losses import triplet_loss

PROMPT_TOKENS = 8
STEPS = 30
LEARNING_RATE = 0.05
MARGIN = 0.5


def tune_prompt(
    model: FoundModel,
    demand: str,
    day: date,
    positives: "np.ndarray",
    negatives: "np.ndarray",
    seed: int,
) -> "np.ndarray":
    """The vector [width] of the tuned demand, to be used like that of any sentence.

    `positives` [P, width] and `negatives` [N, width] are the seed users' vectors. An empty demand tunes the
    prompt alone. The same seed gives the same vector. Raises FoundError where either side has no user.
    """
    if not len(positives) or not len(negatives):
        raise FoundError(
            f"prompt tuning needs seeds on both sides, found {len(positives)} positives and {len(negatives)} negatives."
        )
    device = model.device
    near, far = (torch.from_numpy(np.asarray(side, np.float32)).to(device)[:, 1:-1] for side in (positives, negatives))
    prompt = nn.Parameter(_initial(model, seed))
    optimizer = torch.optim.Adam([prompt], lr=LEARNING_RATE)
    for _ in range(STEPS):
        encoded = _encode(model, prompt, demand)
        loss = triplet_loss(model.text.vectors(encoded)[0], near, far, margin=MARGIN) / (len(near) * len(far))
        (prompt.grad,) = torch.autograd.grad(loss, [prompt])
        optimizer.step()
    with torch.no_grad():
        return model.text(_encode(model, prompt, demand), (day - EPOCH).days)[0].cpu().numpy()


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
