"""A model's two readers: of events and searches, with LoRA of its own where the recipe tunes it, and of sentences."""

import hashlib

from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from feature_repo.contracts.errors import FoundError
from model.config import Recipe
from model.text_cache import TextTable
from model.text_encoder import TextEncoder


class TunedEncoder(TextEncoder):
    """The recipe's encoder with LoRA (Hu et al. 2022) on its linear layers: all that it encodes goes through it.

    Before training it encodes as the plain encoder does.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__(recipe.encoder, max_tokens=recipe.max_tokens)
        add_lora(self, recipe)

    @property
    def fingerprint(self) -> str:
        """Names the cache of encodings: what names a plain encoder's, and every weight of the adapter."""
        digest = hashlib.sha256(super().fingerprint.encode())
        for name, parameter in lora_of(self):
            digest.update(name.encode())
            digest.update(parameter.detach().cpu().numpy().tobytes())
        return digest.hexdigest()[:16]


def add_lora(encoder: TextEncoder, recipe: Recipe) -> None:
    lora = LoraConfig(r=recipe.lora_rank, lora_alpha=recipe.lora_alpha, target_modules="all-linear")
    inject_adapter_in_model(lora, encoder.transformer)


def made_by(encoder: TextEncoder, texts: TextTable) -> TextTable:
    """The table. Raises FoundError where the encoder is a tuned one and another has made the vectors."""
    if isinstance(encoder, TunedEncoder) and len(texts.keys) and texts.encoder != encoder.fingerprint:
        raise FoundError(
            f"this model reads texts through its own tuned encoder {encoder.fingerprint}, the vectors given are of "
            f"{texts.encoder or 'an unknown one'}: make them with the model's `cache_texts`, then `text_vectors`."
        )
    return texts


def lora_of(module: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """The adapters' weights in a module, by name."""
    return [(name, parameter) for name, parameter in module.named_parameters() if "lora_" in name]


def encoders(recipe: Recipe) -> tuple[TextEncoder, TextEncoder]:
    """What reads events and searches, and what reads sentences; one for both where the recipe sets neither apart."""
    events = TunedEncoder(recipe) if recipe.tune_events else TextEncoder(recipe.encoder, max_tokens=recipe.max_tokens)
    if recipe.embedding:
        return events, TextEncoder(recipe.language_model or recipe.encoder, max_tokens=recipe.description_tokens)
    return events, TextEncoder(recipe.encoder, max_tokens=recipe.max_tokens) if recipe.tune_events else events
