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
        prefixes=(128, 256),
    )


def found_paper() -> Recipe:
    """The paper's own model at its own sizes (section 5.1.4; docs/paper.md says what the paper leaves open).

    The paper's "Qwen2-1.8B" is no published model: Qwen/Qwen2-1.5B stands in for it, Qwen/Qwen1.5-1.8B fits as well.
    Both are read from the Hugging Face hub, or from folders given by --encoder and --language-model.
    """
    return Recipe(
        name="found_paper",
        stage1=Optimisation(steps=100_000, batch_users=512, learning_rate=4e-4, warmup_steps=0),
        stage2=Optimisation(steps=100_000, batch_users=512, learning_rate=4e-4, warmup_steps=0),
        encoder="albert/albert-base-v2",
        embedding=1024,
        language_model="Qwen/Qwen2-1.5B",
        width=1024,
        heads=8,
        sequence_layers=6,
        table_layers=6,
        fusion_layers=5,
        alignment="infonce",
        lora_learning_rate=4e-4,
    )


def paper_small() -> Recipe:
    """The paper's towers and losses at a size for 2 cores, with the packaged encoder for both language models."""
    return Recipe(
        name="paper_small",
        stage1=Optimisation(steps=100, batch_users=192, learning_rate=4e-4),
        stage2=Optimisation(steps=80, batch_users=64, learning_rate=4e-4),
        embedding=256,
        description_tokens=48,
        windows=24,
        table_layers=1,
        alignment="infonce",
        lora_learning_rate=4e-4,
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
        prefixes=(24,),
        max_tokens=16,
    )


RECIPES: dict[str, Callable[[], Recipe]] = {f.__name__: f for f in (found_default, found_paper, paper_small, tiny)}


def recipe(name: str, *, encoder: str = "", language_model: str = "") -> Recipe:
    """The recipe of that name, with another text encoder or language model where one is given."""
    if name not in RECIPES:
        raise FoundError(f"unknown recipe {name!r}; recipes are {sorted(RECIPES)}.")
    chosen = RECIPES[name]()
    return replace(chosen, encoder=encoder or chosen.encoder, language_model=language_model or chosen.language_model)
