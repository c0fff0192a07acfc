"""A run is a function that returns a config."""

from collections.abc import Callable
from dataclasses import replace

from feature_repo.contracts.errors import FoundError
from model.config import Optimisation, Recipe


def found_default() -> Recipe:
    """The recipe of the results: pairwise sigmoid over sentences and concepts, propensity, few minutes on 2 cores."""
    return Recipe(
        name="found_default",
        stage1=Optimisation(steps=100, batch_users=192, learning_rate=4e-4),
        stage2=Optimisation(steps=300, batch_users=256, learning_rate=1e-3),
        windows=24,
        table_layers=1,
    )


def tiny() -> Recipe:
    """Every module at its smallest; for tests."""
    return Recipe(
        name="tiny",
        stage1=Optimisation(steps=4, batch_users=32, learning_rate=1e-3, warmup_steps=1),
        stage2=Optimisation(steps=8, batch_users=32, learning_rate=1e-3, warmup_steps=1),
        width=16,
        heads=2,
        windows=12,
        sequence_layers=1,
        table_layers=1,
        fusion_layers=1,
        sampled_texts=24,
        sampled_concepts=8,
        lora_rank=2,
        lora_every=4,
        lora_texts=4,
        max_tokens=16,
    )


RECIPES: dict[str, Callable[[], Recipe]] = {f.__name__: f for f in (found_default, tiny)}


def recipe(name: str, *, encoder: str = "") -> Recipe:
    """The recipe of that name, with another text encoder where one is given."""
    if name not in RECIPES:
        raise FoundError(f"unknown recipe {name!r}; recipes are {sorted(RECIPES)}.")
    chosen = RECIPES[name]()
    return replace(chosen, encoder=encoder) if encoder else chosen
