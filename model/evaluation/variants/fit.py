"""Trains a variant on pairs and asks it, in this process and with the project's own stages.

Shape suffixes: B users, C demands.
"""

from collections.abc import Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from feature_repo.contracts.events import BEHAVIOUR_SOURCES, PROFILES
from model import pointers
from model.calibration.learn import calibrate
from model.config import Recipe
from model.data import Columns, Pairs, rows_of
from model.distributed import join
from model.evaluation.variants.columns import past_as_future, without
from model.evaluation.variants.pairs import derived, without_profile
from model.evaluation.variants.variant import Variant
from model.found import FoundModel
from model.stages import Alignment
from model.text_cache import CachedEncoder, TextTable
from model.text_encoder import TextEncoder
from model.train import Job, stage1, stage2, without_stage1
from model.user_tower import UserTower
from model.vectors import Users

CHUNK_USERS = 512


class FrozenEncoders(Alignment):
    """Stage 2 that leaves the encoders of behaviour and table as stage 1 trained them; fusion, heads and text tower
    learn."""

    def parameter_groups(self, recipe: Recipe) -> list[dict[str, Any]]:
        user = self.model.user
        frozen = {id(p) for encoder in (user.sequence, user.table) for p in encoder.parameters()}
        groups = super().parameter_groups(recipe)
        return [group | {"params": [p for p in group["params"] if id(p) not in frozen]} for group in groups]


def train(variant: Variant, base: Recipe, pairs: Pairs, cache: Path, models: Path, seed: int) -> FoundModel:
    """Both stages as the variant has them, and its calibration where its scores are log odds; `base` is FOUND's own
    recipe. The models stay below `models`."""
    recipe = variant.recipe_of(base)
    encoder = TextEncoder(recipe.encoder, max_tokens=recipe.max_tokens)
    print(f"{variant.name}: training, seed {seed}", flush=True)
    job = Job(pairs, recipe, CachedEncoder(cache, encoder), models, seed, join())
    (stage1 if variant.pretrained else without_stage1)(job)
    if variant.alignment != "none":
        stage2(job, FrozenEncoders if variant.alignment == "frozen encoders" else Alignment)
    made = models / "stage1" if variant.alignment == "none" else models
    folder = pointers.current(made, missing="train it again")
    if variant.gives_odds:
        print(calibrate(folder, pairs, cache), flush=True)
        return FoundModel.from_pretrained(folder)
    return _without_propensity(FoundModel.from_pretrained(folder))


def seen_pairs(variant: Variant, pairs: Pairs, folder: Path) -> Pairs:
    """What the variant sees of the pairs; written below `folder` where that differs from what FOUND sees."""
    if PROFILES in variant.without:
        pairs = without_profile(pairs, folder / "no_profile")
    if events := tuple(source for source in variant.without if source != PROFILES):
        pairs = derived(pairs, folder / "without", partial(without, sources=events), how=["without", *events])
    if variant.past:
        manifest = pairs.manifest
        days, known = manifest["windows"]["horizon_days"], pairs.texts()[0]
        change = partial(past_as_future, horizon_days=days, currency=manifest["currency"], known=known)
        pairs = derived(pairs, folder / "past", change, how="past")
    return pairs


def answer(model: FoundModel, columns: Columns, vectors: TextTable, demands: Sequence[str], day: date) -> "np.ndarray":
    """float64 [B, C]: the model's scores; `vectors` must hold every text of the columns."""
    users = len(columns["cutoff_day"])
    parts = [rows_of(columns, slice(start, start + CHUNK_USERS)) for start in range(0, users, CHUNK_USERS)]
    embedded = [model.embed(part, vectors) for part in parts]
    every = Users(np.concatenate([e.vectors for e in embedded]), [texts for e in embedded for texts in e.texts])
    return np.stack([model.score(every, demand, vectors) for demand in model.read_demands(demands, day)], axis=1)


def widened(model: FoundModel, sources: Sequence[str]) -> FoundModel:
    """The model with an eye for behaviour sources that it was not trained on: their events are texts like any other,
    and their kind is the mean of the kinds that it knows. Counts of such a source stay unknown to it."""
    known = [source for source in BEHAVIOUR_SOURCES if source in model.metadata["sources"]]
    new = [source for source in sources if source in BEHAVIOUR_SOURCES and source not in known]
    places = [[BEHAVIOUR_SOURCES.index(source) for source in some] for some in (known, new)]
    with torch.no_grad():
        kind = model.user.sequence.events.source.weight
        kind[places[1]] = kind[places[0]].mean(0) if known else kind.mean(0)
    model.metadata["sources"] = [source for source in BEHAVIOUR_SOURCES if source in (*known, *new)]
    return model


def unread(model: FoundModel) -> tuple[str, ...]:
    """What the model has an encoder for that never met an event in training: searches, where nobody searched."""
    return () if any(name.startswith("searches_") for name in model.vocabulary.activity) else ("searches",)


def _without_propensity(model: FoundModel) -> FoundModel:
    """Only the sigmoid trains how likely anything is; else that number is as it was drawn, and says nothing."""
    if isinstance(model.user, UserTower):
        with torch.no_grad():
            model.user.propensity.weight.zero_()
            model.user.propensity.bias.zero_()
    return model
