"""Concept sentences: a demand is any of many texts, said in a marketer's words.

A concept is a word that several distinct texts share ("garden", "overdue"); it happens to a user when any text
of their future holds it. Its sentences, and those of frequent texts, are phrased as demands are.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.words import MAX_SHARE, words_of

MIN_TEXTS = 4
"""A word in fewer texts is no concept."""
MAX_CONCEPTS = 800
MAX_REPHRASED = 2500

PHRASES = (
    "Customers who will buy {}",
    "People interested in {}",
    "Users who are going to look for {}",
    "{} fans",
    "Families planning for {}",
    "Users likely to have {}",
)


@dataclass(frozen=True)
class Concepts:
    """`member_VC`: does text v hold concept c (bool, texts in table order)? Phrases are demands for each."""

    words: tuple[str, ...]
    member_VC: "np.ndarray"

    def phrases(self) -> list[str]:
        """One demand per concept."""
        return [PHRASES[i % len(PHRASES)].format(word) for i, word in enumerate(self.words)]


def find_concepts(texts: Sequence[str], is_future: "np.ndarray") -> Concepts:
    """The words that futures share; `is_future` [V] marks the texts that occur in a future."""
    words_by_text = [set(words_of(text)) for text in texts]
    counts = Counter(word for words, known in zip(words_by_text, is_future, strict=True) if known for word in words)
    limit = MAX_SHARE * max(1, int(is_future.sum()))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    chosen = [word for word, n in ranked if MIN_TEXTS <= n <= limit][:MAX_CONCEPTS]
    place = {word: i for i, word in enumerate(chosen)}
    member = np.zeros((len(texts), len(chosen)), bool)
    for row, words in enumerate(words_by_text):
        member[row, [place[word] for word in words if word in place]] = True
    return Concepts(tuple(chosen), member)


def rephrased(texts: Sequence[str], rows: Sequence[int]) -> list[str]:
    """A demand for each of these texts."""
    return [PHRASES[i % len(PHRASES)].format(texts[row]) for i, row in enumerate(rows)]
