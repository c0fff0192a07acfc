"""Demands that a lake's own topics make: conditions about the past, and things that the lake does not know.

Shape suffixes: B users, L slots of a history.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model.evaluation.bootstrap import generator
from model.rewriting.phrasings import HELD_OUT, WRITTEN_WITH, Phrasings
from model.rewriting.topics import stem
from model.words import MAX_SHARE, words_of

Columns = Mapping[str, "np.ndarray"]

LAST_DAYS = 30
COMMON = (0.05, 0.6)
"""A topic is of use where so large a share of the candidates breaks the condition."""
MOST_TOPICS = 50
"""Topics are drawn among the words of the most texts; a word of a few titles is none."""
NEVER, NOT_LATELY, LATELY = "never", f"not in the last {LAST_DAYS} days", f"in the last {LAST_DAYS} days"
KINDS = (NEVER, NOT_LATELY, LATELY)
KNOWN_PHRASINGS, HELD_OUT_PHRASINGS = "phrasings the grammar was written with", "phrasings held out"
LISTS: Mapping[str, Sequence[Phrasings]] = {KNOWN_PHRASINGS: WRITTEN_WITH, HELD_OUT_PHRASINGS: HELD_OUT}

STRANGE_THINGS = (
    "submarine periscopes",
    "cathedral organ pipes",
    "plutonium centrifuges",
    "beekeeping smokers",
    "glacier drilling rigs",
    "lighthouse lenses",
)
"""Things that few companies sell; those count of which a lake's texts have no word."""
OTHER_LANGUAGES = {
    "German": "Kunden, die sich demnächst eine neue Waschmaschine anschaffen werden",
    "Finnish": "Asiakkaat, jotka aikovat hankkia uuden pesukoneen",
    "Chinese": "近期打算购买新洗衣机的顾客",
}


@dataclass(frozen=True)
class Conditioned:
    """A demand with a condition about the past, and who of the candidates breaks it by the words of the lake's texts,
    singular or plural."""

    sentence: str
    kind: str
    topic: str
    phrasings: str
    breaks_B: "np.ndarray"


class Topics:
    """The words that the candidates' histories share, each a topic, and whose history holds them when."""

    def __init__(self, users: Columns, texts: Mapping[int, str], sources: Sequence[str]) -> None:
        self.users, self.sources = users, tuple(sources)
        keys = {source: np.unique(users[f"{source}_text"]) for source in self.sources}
        self._words = {
            s: {int(k): set(words_of(texts[int(k)])) for k in own if int(k) in texts} for s, own in keys.items()
        }

    def conditioned(self, name: str, demand: str) -> Iterator[Conditioned]:
        """A demand with each kind of condition, in a phrase of each list; drawn by the scenario's name."""
        for source in self.sources:
            for kind in KINDS:
                for listed, phrasings in LISTS.items():
                    rng = generator(f"{name} {source} {kind} {listed}")
                    say = phrasings[int(rng.integers(len(phrasings)))]
                    form = "did" if kind == LATELY else "did not"
                    phrases = say.verbs.get((source, form))
                    topic, breaks_B = self._topic(source, kind, set(words_of(demand)), rng)
                    if phrases and topic:
                        said = phrases[int(rng.integers(len(phrases)))].format(topic)
                        if kind != NEVER:
                            said += " " + say.last[int(rng.integers(len(say.last)))].format(n=LAST_DAYS, unit="days")
                        joint = "and" if kind == LATELY else "but"
                        yield Conditioned(f"{demand.rstrip('.!?')}, {joint} who {said}", kind, topic, listed, breaks_B)

    def _topic(self, source: str, kind: str, taken: set[str], rng: np.random.Generator) -> tuple[str, "np.ndarray"]:
        """A word that leaves enough candidates on both sides; none where there is none."""
        words = self._words[source]
        counts = Counter(word for own in words.values() for word in own)
        known = [w for w, n in counts.items() if 1 < n <= MAX_SHARE * len(words) and w not in taken]
        broadest = sorted(known, key=lambda w: (-counts[w], w))[:MOST_TOPICS]
        for word in rng.permutation(broadest).tolist():
            breaks_B = self.breaks(source, kind, word)
            if COMMON[0] <= breaks_B.mean() <= (1 - COMMON[0] if kind == LATELY else COMMON[1]):
                return word, breaks_B
        return "", np.zeros(0, bool)

    def breaks(self, source: str, kind: str, word: str) -> "np.ndarray":
        """bool [B]"""
        keys = [key for key, own in self._words[source].items() if stem(word) in map(stem, own)]
        holds_BL = np.isin(self.users[f"{source}_text"], keys)
        ago_BL = self.users["cutoff_day"][:, None] - self.users[f"{source}_day"]
        lately_B = np.asarray((holds_BL & (ago_BL <= LAST_DAYS)).any(1))
        return {NEVER: np.asarray(holds_BL.any(1)), NOT_LATELY: lately_B, LATELY: ~lately_B}[kind]


def strange_things(texts: Sequence[str]) -> list[str]:
    """The things of which no text of the lake has a word."""
    known = {word for text in texts for word in words_of(text)}
    return [thing for thing in STRANGE_THINGS if not known & set(words_of(thing))]
