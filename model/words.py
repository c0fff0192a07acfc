"""The words of a lake's texts, which lead a demand when it is read.

A sentence encoder blurs what a demand is about with how it is said ("customers who are about to buy ..."). Words that
the lake's texts use, though not most of them, say what it is about; repeated in front of it they weigh more.
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence

MAX_SHARE = 0.25
"""A word in more than this share of the texts says nothing."""
MAX_WORDS = 20_000
_WORD = re.compile(r"[^\W\d_]{3,}")
_FUNCTION_WORDS = frozenset("the and for with from that this are was has had you user more than total will who".split())


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, in order, without function words."""
    return [word for word in _WORD.findall(text.lower()) if word not in _FUNCTION_WORDS]


def telling_words(texts: Sequence[str]) -> tuple[str, ...]:
    """The words of at most a quarter of the texts, in alphabetical order; the most frequent of too many."""
    counts = Counter(word for text in texts for word in set(words_of(text)))
    ranked = sorted((word for word, n in counts.items() if n <= MAX_SHARE * len(texts)), key=lambda w: (-counts[w], w))
    return tuple(sorted(ranked[:MAX_WORDS]))


def led(demand: str, words: Collection[str]) -> str:
    """The demand behind its telling words, "garden chair: People about to buy a garden chair", where it has some."""
    telling = " ".join(dict.fromkeys(word for word in words_of(demand) if word in words))
    return f"{telling}: {demand}" if telling else demand
