"""Tiny random language models as Hugging Face folders, with a tokenizer that knows the tiny texts.

A pytest plugin; torch and transformers are imported by the fixtures alone.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from model_pairs import all_texts

if TYPE_CHECKING:
    from transformers import PretrainedConfig

SPECIAL = ("[PAD]", "[START]", "[END]")
VOCABULARY = 400


def write_tokenizer(folder: Path, *, starts: bool) -> None:
    """Byte-level BPE that knows the tiny texts; a start token opens every text where asked."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    bytes_alone = Tokenizer(models.BPE())
    bytes_alone.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    letters = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=list(SPECIAL), initial_alphabet=letters, show_progress=False
    )
    bytes_alone.train_from_iterator(all_texts(), trainer)
    if starts:
        opened = processors.TemplateProcessing(single="[START] $A", special_tokens=[("[START]", 1)])
        bytes_alone.post_processor = opened
    named = {"pad_token": "[PAD]", "eos_token": "[END]"}
    PreTrainedTokenizerFast(tokenizer_object=bytes_alone, **named).save_pretrained(folder)


def write_model(folder: Path, config: "PretrainedConfig", *, dtype: str = "float32") -> str:
    """The folder's name, with a random model of this configuration in it."""
    import torch
    from transformers import AutoModel

    torch.manual_seed(7)
    AutoModel.from_config(config).to(getattr(torch, dtype)).save_pretrained(folder)
    write_tokenizer(folder, starts=config.model_type == "albert")
    return str(folder)


def albert_sizes(**other: Any) -> "PretrainedConfig":
    """ALBERT: one layer's weights, used three times."""
    from transformers import AlbertConfig

    sizes: dict[str, Any] = {"vocab_size": VOCABULARY, "embedding_size": 8, "hidden_size": 16, "intermediate_size": 32}
    return AlbertConfig(**sizes | {"num_attention_heads": 2, "num_hidden_layers": 3} | other)


def qwen2_sizes(**other: Any) -> "PretrainedConfig":
    """Qwen2, twice as wide as the tiny ALBERT."""
    from transformers import Qwen2Config

    sizes: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
    }
    return Qwen2Config(**sizes | {"num_attention_heads": 4, "num_key_value_heads": 2} | other)


@pytest.fixture(scope="session")
def albert(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_model(tmp_path_factory.mktemp("albert"), albert_sizes())


@pytest.fixture(scope="session")
def qwen2(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_model(tmp_path_factory.mktemp("qwen2"), qwen2_sizes())


@pytest.fixture(scope="session")
def half_qwen2(tmp_path_factory: pytest.TempPathFactory) -> str:
    """In bfloat16, as large language models are published."""
    return write_model(tmp_path_factory.mktemp("half_qwen2"), qwen2_sizes(), dtype="bfloat16")
