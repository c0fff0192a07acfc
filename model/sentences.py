"""What stage 2 can ask.

Shape suffixes: B users, V distinct texts.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from feature_repo.contracts.templates import NOTHING, text_key
from model.concepts import MAX_REPHRASED, Concepts, find_concepts, rephrased
from model.text_cache import TextTable


class Reads(Protocol):
    """What turns a demand into what the language model is given."""

    def read(self, demand: str) -> str: ...


class Sentences:
    """What stage 2 can ask: the texts of futures, their rephrasings and the concepts, all encoded once."""

    def __init__(
        self,
        model: Reads,
        texts: TextTable,
        strings: list[str],
        future_count_V: "np.ndarray",
        encode: Callable[[Sequence[str]], "np.ndarray"],
    ) -> None:
        self.texts, self.strings = texts, strings
        self.count_V = future_count_V
        self.concepts: Concepts = find_concepts(strings, future_count_V > 0)
        often = np.argsort(-future_count_V, kind="stable")[:MAX_REPHRASED]
        often = often[future_count_V[often] > 0]
        self.phrase_of_V = np.full(len(strings), -1)
        self.phrase_of_V[often] = np.arange(len(often))
        self.phrases = [model.read(phrase) for phrase in rephrased(strings, often.tolist())]
        self.phrase_vectors = encode(self.phrases)
        self.concept_phrases = [model.read(phrase) for phrase in self.concepts.phrases()]
        self.concept_vectors = encode(self.concept_phrases)
        self.nothing = int(np.searchsorted(texts.keys, text_key(NOTHING)))

    def happens(self, future_rows_BF: "np.ndarray") -> "np.ndarray":
        """bool [B, V]: which texts lie in each user's future."""
        happens = np.zeros((len(future_rows_BF), len(self.strings) + 1), bool)
        happens[np.arange(len(future_rows_BF))[:, None], future_rows_BF] = True
        return happens[:, 1:]
