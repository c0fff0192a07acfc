"""Rewriting by any causal language model: greedy, stopped at the end of its JSON object, checked against the lake.

What does not hold is not repaired: the offline rewriter answers instead, and says why.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, StoppingCriteriaList

from feature_repo.contracts.errors import FoundError
from model.rewriting.chat import prompt_tokens, without_special_tokens
from model.rewriting.document import Behaviour, Rewritten, Sentence
from model.rewriting.offline import OfflineRewriter
from model.rewriting.prompts import Chat, question

MOST_NEW_TOKENS = 512


@dataclass(frozen=True)
class LanguageModel:
    """A tokenizer and a causal model, with or without an adapter."""

    tokenizer: Any
    model: Any

    @torch.no_grad()
    def answer(self, chat: Chat) -> str:
        """The greedy continuation, up to the end of its first JSON object or MOST_NEW_TOKENS.

        Raises FoundError where the chat does not fit the model.
        """
        ids = prompt_tokens(self.tokenizer, chat)
        room = getattr(self.model.config, "max_position_embeddings", None) or len(ids) + MOST_NEW_TOKENS
        if len(ids) >= room:
            raise FoundError(f"the prompt has {len(ids)} tokens, the language model reads {room}: shorten the demand.")
        settings = GenerationConfig(
            do_sample=False,
            max_new_tokens=min(MOST_NEW_TOKENS, room - len(ids)),
            eos_token_id=self.tokenizer.eos_token_id,
            pad_token_id=self.tokenizer.pad_token_id or self.tokenizer.eos_token_id or 0,
        )
        given = torch.tensor([ids], device=self.model.device)
        made = self.model.generate(
            given,
            attention_mask=torch.ones_like(given),
            generation_config=settings,
            stopping_criteria=StoppingCriteriaList([_object_ends(self.tokenizer, len(ids))]),
        )
        return str(self.tokenizer.decode(made[0, len(ids) :], skip_special_tokens=True))


def _object_ends(tokenizer: Any, start: int) -> Callable[..., Tensor]:
    """Is the first JSON object after `start` tokens complete?"""

    def ends(input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        text = tokenizer.decode(input_ids[0, start:], skip_special_tokens=True)
        ended = "}" in text[-8:] and first_object(text) is not None
        return torch.full((len(input_ids),), ended, device=input_ids.device)

    return ends


def open_language_model(name: str, *, adapter: str = "") -> LanguageModel:
    """A Hugging Face id or folder, with the LoRA adapter in a folder where one is given."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(name, trust_remote_code=False, use_safetensors=True)
        if adapter:
            from peft import PeftModel

            model = PeftModel.from_pretrained(model, adapter)
    except (OSError, ValueError) as error:
        raise FoundError(
            f"the language model {name!r}{f' with the adapter {adapter!r}' if adapter else ''} could not be loaded: "
            f"{error} Give the id or folder of a causal language model (safetensors)."
        ) from error
    return LanguageModel(tokenizer, model.to("cuda" if torch.cuda.is_available() else "cpu").eval())


@dataclass(frozen=True)
class LanguageModelRewriter:
    """Asks the language model first, the offline rewriter where the answer is of no use."""

    language_model: LanguageModel
    offline: OfflineRewriter

    def rewrite(self, demand: str) -> Rewritten:
        """The demand as the language model reads it; every condition and sentence exists in the lake."""
        asked = without_special_tokens(self.language_model.tokenizer, demand)
        try:
            said = self.language_model.answer(question(self.offline.lake.words, asked, self.offline.day))
            return read_answer(said, demand, self.offline)
        except FoundError as error:
            instead = self.offline.rewrite(demand)
            reason = f"the language model's answer was not used: {error}"
            return replace(instead, reason=f"{reason} {instead.reason}".strip())


def read_answer(said: str, demand: str, offline: OfflineRewriter) -> Rewritten:
    """The rewritten demand in what a language model said. Raises FoundError naming what is wrong with it."""
    found = first_object(said)
    if found is None:
        raise FoundError(f"expected one JSON object, found {said[:80]!r}.")
    sentences = found.get("sentences", [])
    if isinstance(sentences, list):
        found["sentences"] = [{"similarity": 0.0, **each} if isinstance(each, dict) else each for each in sentences]
    rewritten = Rewritten.from_dict({**found, "demand": demand})
    if not rewritten.conditions:
        raise FoundError("expected at least one condition, found none.")
    offline.lake.refuse_strangers(rewritten)
    return replace(rewritten, sentences=tuple(_compared(s, rewritten, offline) for s in rewritten.sentences))


def _compared(sentence: Sentence, rewritten: Rewritten, offline: OfflineRewriter) -> Sentence:
    """The sentence with its cosine to the condition's topic, 1.0 for a sentence of the templates."""
    condition = rewritten.conditions[sentence.condition]
    topic = condition.topic if isinstance(condition, Behaviour) else ""
    if not topic:
        return replace(sentence, similarity=1.0)
    one, other = np.asarray(offline.encode([sentence.text, topic]), np.float64)
    return replace(sentence, similarity=round(float(one @ other), 4))


def first_object(text: str) -> dict[str, Any] | None:
    """The JSON object that starts at the text's first brace; None where there is none."""
    start = text.find("{")
    try:
        found = json.JSONDecoder().raw_decode(text[start:])[0] if start >= 0 else None
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
