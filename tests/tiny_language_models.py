"""Tiny random language models as Hugging Face folders, with a tokenizer that knows the words of the tiny texts.

A pytest plugin; torch and transformers are imported by the fixtures alone.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from model_pairs import all_texts

if TYPE_CHECKING:
    from transformers import PretrainedConfig

SPECIAL = ("[PAD]", "[UNK]", "[START]", "[END]")


def write_tokenizer(folder: Path, *, starts: bool, **special: str) -> None:
    """A word-level tokenizer; `special` names its special tokens, a start token opens every text where asked."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    words = sorted({word for text in all_texts() for word in re.findall(r"\w+|[^\w\s]+", text)})
    words_alone = Tokenizer(WordLevel({w: i for i, w in enumerate((*SPECIAL, *words))}, unk_token="[UNK]"))
    words_alone.pre_tokenizer = Whitespace()
    if starts:
        opened = TemplateProcessing(single="[START] $A", special_tokens=[("[START]", SPECIAL.index("[START]"))])
        words_alone.post_processor = opened
    PreTrainedTokenizerFast(tokenizer_object=words_alone, unk_token="[UNK]", **special).save_pretrained(folder)


def write_model(folder: Path, config: "PretrainedConfig", *, dtype: str = "float32") -> str:
    """The folder's name, with a random model of this configuration in it."""
    import torch
    from transformers import AutoModel

    torch.manual_seed(7)
    AutoModel.from_config(config).to(getattr(torch, dtype)).save_pretrained(folder)
    write_tokenizer(folder, starts=config.model_type == "albert", pad_token="[PAD]", eos_token="[END]")
    return str(folder)


def albert_sizes(**other: Any) -> "PretrainedConfig":
    """ALBERT: one layer's weights, used three times."""
    from transformers import AlbertConfig

    sizes: dict[str, Any] = {"vocab_size": 300, "embedding_size": 8, "hidden_size": 16, "intermediate_size": 32}
    return AlbertConfig(**sizes | {"num_attention_heads": 2, "num_hidden_layers": 3} | other)


def qwen2_sizes(**other: Any) -> "PretrainedConfig":
    """Qwen2, twice as wide as the tiny ALBERT."""
    from transformers import Qwen2Config

    sizes: dict[str, Any] = {"vocab_size": 300, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
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
