"""What a text is made of, as far as a demand can name it: its words, and the parts that its template put together."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from model.words import words_of

MAX_UNITS = 20_000
"""The units of the most texts; rarer ones hardly move a size."""
SHORTEST = 3
SHORTEST_START = 5
"""A stem this long is found at the start of longer words too: "garden" in "gardeners"."""
_PARTS = re.compile(r"[,;:()]| at | in ")
_SUFFIXES = {"ation": 4, "ating": 4, "ated": 4, "ate": 4, "ment": 4, "ing": 3, "ed": 3}
"""What is taken off the end of a word, where at least so many letters remain."""
_SIBILANTS = ("ses", "xes", "zes", "ches", "shes")


def stem(word: str) -> str:
    """What the forms of an English word share: boxes and box, animated and animation, repayment and repay."""
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith(_SIBILANTS) and len(word) > 5:
        word = word[:-2]
    elif word.endswith("s") and not word.endswith("ss") and len(word) > SHORTEST:
        word = word[:-1]
    suffix = next((s for s, least in _SUFFIXES.items() if word.endswith(s) and len(word) - len(s) >= least), "")
    if suffix:
        word = word.removesuffix(suffix) + ("at" if suffix.startswith("at") else "")
        word = word[:-1] if len(word) > SHORTEST and word[-1] == word[-2] else word
    return word[:-1] if word.endswith("e") and len(word) > SHORTEST else word


def units_of(text: str) -> set[str]:
    """The words of a text and its parts, in lower case."""
    parts = {part.strip() for part in _PARTS.split(text.lower())}
    return {unit for unit in parts.union(words_of(text)) if len(unit) >= SHORTEST}


@dataclass(frozen=True)
class Units:
    """U distinct units; unit `of_K[k]` occurs in text `text_K[k]`, units ascending."""

    names: tuple[str, ...]
    of_K: "np.ndarray"
    text_K: "np.ndarray"
    texts: int

    @classmethod
    def of(cls, texts: Sequence[str], names: Sequence[str] = ()) -> "Units":
        """The units of these texts, or where each of the named ones occurs."""
        found: dict[str, list[int]] = {name: [] for name in names}
        for row, text in enumerate(texts):
            for unit in units_of(text):
                if not names or unit in found:
                    found.setdefault(unit, []).append(row)
        often = sorted(found, key=lambda unit: (-len(found[unit]), unit))[:MAX_UNITS]
        kept = tuple(names) or tuple(sorted(often))
        counts = [len(found[unit]) for unit in kept]
        rows = [row for unit in kept for row in found[unit]]
        return cls(kept, np.repeat(np.arange(len(kept)), counts), np.array(rows, np.int64), len(texts))

    def texts_with(self, unit_U: "np.ndarray") -> "np.ndarray":
        """float64 [V]: of each text, the largest value of its units."""
        value_V = np.zeros(self.texts)
        np.maximum.at(value_V, self.text_K, np.asarray(unit_U, np.float64)[self.of_K])
        return value_V

    def share_U(self, is_counted_V: "np.ndarray") -> "np.ndarray":
        """Of each unit, the share of the counted texts that hold it."""
        held_U = np.bincount(self.of_K, weights=is_counted_V[self.text_K], minlength=len(self.names))
        return np.asarray(held_U / max(1.0, float(is_counted_V.sum())))
