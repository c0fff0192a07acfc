"""`python -m model.parameters --recipe found_paper`: how many parameters each part of a recipe has.

Everything is built on torch's meta device from configurations alone: shapes without weights, in seconds, and for
the paper's models without the Hugging Face hub.
"""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from transformers import AlbertConfig, AutoConfig, AutoModel, PretrainedConfig, Qwen2Config

from model.config import Recipe
from model.encoders import add_lora, lora_of
from model.late import LateInteraction
from model.recipes import RECIPES, found_paper, recipe
from model.table import TableTasks
from model.text_encoder import TextEncoder, encoder_folder
from model.text_space import TextSpace
from model.text_tower import text_tower
from model.user_tower import user_tower
from model.vocabulary import ACTIVITY, Vocabulary

PUBLISHED: dict[str, PretrainedConfig] = {
    "albert/albert-base-v2": AlbertConfig(
        vocab_size=30_000, hidden_size=768, num_attention_heads=12, intermediate_size=3072
    ),
    "Qwen/Qwen2-1.5B": Qwen2Config(
        vocab_size=151_936,
        hidden_size=1536,
        intermediate_size=8960,
        num_hidden_layers=28,
        num_attention_heads=12,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    ),
    "Qwen/Qwen1.5-1.8B": Qwen2Config(
        vocab_size=151_936,
        hidden_size=2048,
        intermediate_size=5504,
        num_hidden_layers=24,
        num_attention_heads=16,
        num_key_value_heads=16,
    ),
}
"""The sizes of the models that found_paper names, as published beside their weights."""


@dataclass(frozen=True)
class Part:
    """A part of a model: what it is, its parameters, and the stages that train it ("" = none)."""

    name: str
    parameters: int
    stages: str


class Shapes(TextEncoder):
    """A language model without weights and tokenizer: it can be measured, not asked."""

    def __init__(self, name: str) -> None:
        nn.Module.__init__(self)
        config = PUBLISHED[name] if name in PUBLISHED else AutoConfig.from_pretrained(encoder_folder(name))
        self.transformer = AutoModel.from_config(config)


def activity_alone(bins: int) -> Vocabulary:
    """The table of a lake without profiles: the activity columns, each with all its bins."""
    return Vocabulary((), (), ACTIVITY, (), (np.arange(1, bins, dtype=np.float32),) * len(ACTIVITY), ())


def parts(chosen: Recipe, vocabulary: Vocabulary) -> list[Part]:
    """The parts of this recipe's model over this table."""
    with torch.device("meta"):
        encoder = spoken = Shapes(chosen.encoder)
        if chosen.embedding or chosen.tune_events:
            spoken = Shapes(chosen.language_model or chosen.encoder)
        events, own = (_count(each.parameters()) for each in (encoder, spoken))
        if chosen.tune_events:
            add_lora(encoder, chosen)
        text = text_tower(chosen, spoken, TextSpace(torch.zeros(encoder.width)))
        user = user_tower(chosen, text_width=encoder.width, vocabulary=vocabulary)
        late, tasks = LateInteraction(chosen), TableTasks(chosen, sizes=vocabulary.sizes)
    lora, event_lora = (_count(p for _, p in lora_of(each)) for each in (text.adapted, encoder))
    sources = [user.sequence, user.table, user.searches, user.fusion]
    sequence, table, searches, fused = (_count(part.parameters()) for part in sources)
    return [
        *([Part("event and search encoder", events, "")] if spoken is not encoder else []),
        *([Part("LoRA of events", event_lora, "2")] if chosen.tune_events else []),
        Part("sequence", sequence, "1, 2"),
        Part("table", table, "1, 2"),
        Part("searches", searches, "2"),
        Part("fusion", fused, "2"),
        Part("user head", _count(user.parameters()) - sequence - table - searches - fused, "2"),
        Part("language model", own, ""),
        Part("LoRA", lora, "2"),
        Part("text head", _count(text.parameters()) - own - lora, "2"),
        Part("late interaction", _count(late.parameters()), "2" if chosen.alignment == "sigmoid" else ""),
        Part("heads of stage 1", _count(tasks.parameters()), "1"),
    ]


def table_of(found: Sequence[Part]) -> str:
    """The parts as a Markdown table, with their sum."""
    rows = [f"| {part.name} | {part.parameters:,} | {part.stages or 'never'} |" for part in found]
    total, trained = (sum(p.parameters for p in found if p.stages or every) for every in (True, False))
    heading = ["| part | parameters | trained in stage |", "| --- | ---: | --- |"]
    return "\n".join([*heading, *rows, f"| all | {total:,} | {trained:,} of them |"])


def _count(parameters: Iterable[nn.Parameter]) -> int:
    return sum(p.numel() for p in parameters)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m model.parameters", description=__doc__)
    parser.add_argument("--recipe", choices=sorted(RECIPES), default=found_paper.__name__)
    chosen = recipe(parser.parse_args().recipe)
    print(table_of(parts(chosen, activity_alone(chosen.bins))))


if __name__ == "__main__":
    main()
