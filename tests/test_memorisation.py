"""InfoNCE memorises which text is whose, and learns nothing about strangers from pairs that mean nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from model_pairs import COLUMNS, Columns, all_texts, some_users

from feature_repo.contracts.templates import text_key
from model.config import Optimisation, Recipe
from model.distributed import Ranks
from model.found import FoundModel
from model.losses import infonce_loss
from model.recipes import tiny
from model.sentences import Sentences
from model.stages import Alignment
from model.step import Step
from model.text_cache import TextTable
from model.text_encoder import TextEncoder
from model.text_space import TextSpace
from model.vocabulary import fit_vocabulary

USERS = 64
CHANCE = 1 / USERS


def own_texts(columns: Columns, keys: np.ndarray) -> Columns:
    """The columns with these texts as the users' whole futures."""
    shape = columns["future_text"].shape
    future = np.zeros(shape, np.int64)
    future[:, 0] = keys
    return columns | {"future_text": future, "future_length": np.ones(len(keys), np.int32)}


def telling_history(columns: Columns, keys: np.ndarray) -> Columns:
    """The columns with bills that all say the user's text of `keys`: what a user did tells what follows."""
    length = next(c.length for c in COLUMNS if c.name == "bills_text")
    count = np.maximum(columns["bills_length"], 3)
    text = np.where(np.arange(length)[None] < count[:, None], keys[:, None], 0)
    day = np.where(text > 0, columns["cutoff_day"][:, None] - 1 - np.arange(length)[None], 0).astype(np.int32)
    return columns | {"bills_text": text, "bills_day": day, "bills_length": count.astype(np.int32)}


def stage_of(recipe: Recipe, columns: Columns) -> Alignment:
    encoder = TextEncoder(recipe.encoder, max_tokens=recipe.max_tokens)
    strings = sorted(set(all_texts()), key=text_key)
    vectors = encoder.encode(strings)
    table = TextTable(np.array([text_key(s) for s in strings]), np.concatenate([vectors[:1] * 0, vectors]))
    counts = np.bincount(table.rows(columns["future_text"]).ravel(), minlength=len(strings) + 1)[1:]
    torch.manual_seed(0)
    model = FoundModel(
        recipe,
        fit_vocabulary(columns, categorical=["city", "tier"], numeric=["age"], bins=recipe.bins, texts=strings),
        TextSpace.of(vectors, counts),
        metadata={"sources": ["bills", "clicks", "visits"]},
    )
    return Alignment(model, table, Sentences(model, table, strings, counts, encoder.encode))


def aligned(recipe: Recipe, *batches: Columns) -> tuple[Alignment, list[float]]:
    """The stage after training on these batches in turn, and its losses."""
    stage, losses = stage_of(recipe, batches[0]), []
    optimizer = torch.optim.AdamW(stage.parameter_groups(recipe), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, recipe.stage2.steps)
    for number in range(recipe.stage2.steps):
        loss, _ = stage.train()(batches[number % len(batches)], torch.ones(USERS), Step(number, 0, Ranks()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return stage.eval(), losses


@torch.no_grad()
def first_hits(stage: Alignment, columns: Columns, keys: np.ndarray) -> float:
    """R@1: the share of users whose own text is the nearest of all users' texts."""
    model = stage.model
    users, _ = model.users(model.batch(columns, stage.texts), stage.text_VE)
    strings = [stage.sentences.strings[row - 1] for row in stage.texts.rows(keys)]
    encoded = model.text.live(strings) if model.recipe.embedding else stage.raw_VE[stage.texts.rows(keys) - 1]
    cosine = (
        torch.nn.functional.normalize(users[:, 1:-1], dim=1)
        @ torch.nn.functional.normalize(model.text.vectors(encoded), dim=1).T
    )
    return float((cosine.argmax(1).numpy() == np.arange(len(keys))).mean())


def infonce(steps: int, **change: object) -> Recipe:
    """The tiny recipe with equation 13, without randomness in the towers."""
    optimisation = Optimisation(steps=steps, batch_users=USERS, learning_rate=1e-2)
    quiet = replace(tiny(), source_dropout=0.0, head_dropout=0.0, alignment="infonce", stage2=optimisation)
    return replace(quiet, lora_learning_rate=1e-2, lora_every=1000, **change)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def keys() -> np.ndarray:
    """64 distinct texts."""
    return np.array(sorted({text_key(text) for text in all_texts()})[:USERS])


@pytest.mark.parametrize("own_space", [True, False])
def test_64_users_find_their_own_text_among_64(own_space, keys, albert, qwen2):
    """Which text is whose means nothing here. In a space of its own, then as the paper does it, between two spaces."""
    change = {} if own_space else {"encoder": albert, "language_model": qwen2, "embedding": 32}
    columns = own_texts(some_users(USERS), keys)

    stage, losses = aligned(infonce(250, **change), columns)

    assert first_hits(stage_of(stage.model.recipe, columns), columns, keys) <= 8 * CHANCE
    assert first_hits(stage, columns, keys) >= 0.99
    assert losses[-1] < losses[0] - 0.3


def test_only_pairs_that_mean_something_help_with_strangers(keys):
    """Each user's history tells the text that follows. After training on real pairs, users that training never saw find
    theirs. After training on the same users and texts, shuffled, every training pair is known by heart as well,
    and strangers find theirs by chance alone."""
    told = [telling_history(some_users(USERS, first=first), keys) for first in (1, 101)]
    strangers = telling_history(some_users(USERS, first=9000), keys)
    wrong = [np.random.default_rng(seed).permutation(keys) for seed in (5, 6)]

    real, _ = aligned(infonce(150), *(own_texts(users, keys) for users in told))
    shuffled, _ = aligned(infonce(150), *(own_texts(users, theirs) for users, theirs in zip(told, wrong, strict=True)))

    assert [first_hits(shuffled, *pairs) for pairs in zip(told, wrong, strict=True)] == [pytest.approx(1, abs=0.05)] * 2
    assert first_hits(shuffled, strangers, keys) <= 4 * CHANCE
    assert first_hits(real, strangers, keys) >= 0.95


def test_the_floor_of_the_loss_at_temperature_1_is_high_and_ranking_perfect_all_the_same():
    """Even users that lie on their texts, with all others at right angles, pay log(1 + 63/e)."""
    perfect = torch.eye(USERS)

    assert infonce_loss(perfect, perfect).item() == pytest.approx(np.log(1 + (USERS - 1) / np.e), rel=1e-5)
