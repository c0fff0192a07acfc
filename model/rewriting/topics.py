"""Which of a lake's texts are about a topic: those that hold its words; where none does, those that hold all of its
words that the lake has at all; else those that are near to it.

For rules over histories a topic must be found whole, unlike in retrieval.py, where a few telling texts are enough:
"never bought tea" means every text about tea.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from model.rewriting.phrases import FILLER

NEAR = 0.55
"""Without its words, a text is about a topic from this cosine on ..."""
KNOWN = 0.4
"""A topic is strange to a lake whose nearest text is further than this."""
NEAR_BEST = 0.85
"""... and from this share of the nearest text's."""

_WORD = re.compile(r"[^\W_]+")
_JOINTS = frozenset(("and", "or", "of", "for", "the", "with"))


@dataclass(frozen=True)
class About:
    """The keys of the texts about a topic, most telling first; `by_words`: do they hold all its words?"""

    keys: tuple[int, ...]
    texts: tuple[str, ...]
    by_words: bool


class Topics:
    """The texts of a lake by key, and how to compare them with a topic.

    `near` gives the cosines of all texts to a topic; it is asked only where no text holds the topic's words.
    """

    def __init__(
        self, keys: "np.ndarray", texts: Sequence[str], near: Callable[[str], "np.ndarray"] | None = None
    ) -> None:
        self._keys, self._texts, self._near = keys, texts, near
        self._rows: dict[str, set[int]] = {}
        for row, text in enumerate(texts):
            for word in stems(text):
                self._rows.setdefault(word, set()).add(row)

    def about(self, topic: str) -> About:
        """No keys where nothing is about the topic."""
        words = stems(topic)
        known = [self._rows[word] for word in words if word in self._rows]
        if known and (rows := set.intersection(*known)):
            shortest_first = sorted(rows, key=lambda row: (len(self._texts[row]), row))
            return self._found(shortest_first, by_words=len(known) == len(words))
        if self._near is None or not len(self._keys):
            return About((), (), False)
        cosines = self._near(topic)
        bar = max(NEAR, NEAR_BEST * float(cosines.max()))
        near = np.flatnonzero(cosines >= bar)
        return self._found(near[np.argsort(-cosines[near], kind="stable")].tolist(), by_words=False)

    def knows(self, topic: str) -> bool:
        """Is anything of the lake near to the topic, or does it hold one of its words?"""
        if any(word in self._rows for word in stems(topic)):
            return True
        return bool(self._near is not None and len(self._keys) and float(self._near(topic).max()) >= KNOWN)

    def _found(self, rows: Sequence[int], *, by_words: bool) -> About:
        return About(tuple(int(self._keys[row]) for row in rows), tuple(self._texts[row] for row in rows), by_words)


def stems(text: str) -> frozenset[str]:
    """The words of a text that say something, singular and plural as one."""
    words = [word for word in _WORD.findall(text.lower()) if word not in _JOINTS]
    telling = [word for word in words if word not in FILLER and len(word) > 1]
    return frozenset(map(stem, telling or words))


def stem(word: str) -> str:
    """The same for singular and plural, more or less: "movies" and "movie", "boxes" and "box"."""
    word = word.removesuffix("s") if not word.endswith("ss") else word
    word = word.removesuffix("e")
    return f"{word[:-1]}i" if word.endswith("y") else word
