"""What every baseline is trained on, read once.

Shape suffixes: P pairs, V distinct texts, F slots of a future, E encoder width, C sentences.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.events import BEHAVIOUR_SOURCES, EVENT_SOURCES
from model.config import Recipe
from model.data import Columns, Pairs, read_file_pyarrow, rows_of
from model.recipes import found_default
from model.sentences import Sentences
from model.text_cache import CachedEncoder, TextTable
from model.text_space import TextSpace
from model.vocabulary import Vocabulary, fit_vocabulary
from model.words import led

MOST_PAIRS = 50_000
"""Of more pairs a sample is read, the same for every method of a seed."""


class NotApplicable(FoundError):
    """A lake lacks what a method reads: its row is absent, and says so."""


@dataclass(frozen=True)
class Effort:
    """The shares of a method's steps that are done; at 0 the weights stay as they are drawn."""

    pretraining: float = 1.0
    alignment: float = 1.0


@dataclass(frozen=True)
class Reader:
    """How a demand is read: led by its telling words and moved into the lake's text space, as the project's own
    model reads it, so that a difference between methods is one of their users' side."""

    encoder: CachedEncoder
    space: TextSpace
    words: frozenset[str]

    def read(self, demand: str) -> str:
        """What the encoder is given."""
        return led(demand, self.words)

    def asked(self, demands: Sequence[str]) -> Tensor:
        """Unit vectors [C, E]."""
        encoded = self.encoder.encoder.encode([self.read(demand) for demand in demands])
        return self.space.asked(torch.from_numpy(encoded))

    def centred(self, keys: "np.ndarray") -> TextTable:
        """The unit vectors of these texts around the lake's centre, from the cache; row 0 stays zero."""
        table = self.encoder.cache.table().select(keys)
        unit_VE = self.space.centred(torch.from_numpy(table.vectors[1:])).numpy()
        return TextTable(table.keys, np.concatenate([table.vectors[:1], unit_VE]))


@dataclass(frozen=True)
class Training:
    """The pairs as columns [P], their distinct texts in key order with their vectors, the encoder, the seed."""

    pairs: Pairs
    columns: Columns = field(repr=False)
    strings: tuple[str, ...] = field(repr=False)
    texts: TextTable = field(repr=False)
    encoder: CachedEncoder
    recipe: Recipe
    seed: int
    effort: Effort = Effort()

    def __len__(self) -> int:
        return len(self.columns["cutoff_day"])

    @cached_property
    def future_PF(self) -> "np.ndarray":
        """The rows of the texts of each future, 0 where there are no more."""
        return self.texts.rows(self.columns["future_text"])

    @cached_property
    def count_V(self) -> "np.ndarray":
        """In how many futures each text occurs."""
        return np.bincount(self.future_PF.ravel(), minlength=len(self.strings) + 1)[1:]

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The table's columns and the words that lead demands."""
        profile = self.pairs.manifest["profile"]
        return fit_vocabulary(
            self.columns,
            categorical=profile["categorical"],
            numeric=profile["numeric"],
            bins=self.recipe.bins,
            texts=self.strings,
        )

    @cached_property
    def reader(self) -> Reader:
        space = TextSpace.of(np.asarray(self.texts.vectors[1:]), self.count_V)
        return Reader(self.encoder, space, frozenset(self.vocabulary.words))

    @cached_property
    def sentences(self) -> Sentences:
        """What alignment asks: the same texts, rephrasings and concepts that the project's own stage 2 asks."""
        return Sentences(self.reader, self.texts, list(self.strings), self.count_V, self.encoder.encode)

    @property
    def sources(self) -> tuple[str, ...]:
        """The behaviour sources that anybody has."""
        return tuple(s for s in BEHAVIOUR_SOURCES if self.columns[f"{s}_length"].any())

    def some(self, most: int) -> "np.ndarray":
        """The places of at most so many pairs, ascending."""
        return np.sort(np.random.default_rng(self.seed).permutation(len(self))[:most])

    def newest(self) -> Columns:
        """Each user's newest pair: whole lives, no user twice."""
        order = np.lexsort((-self.columns["cutoff_day"], self.columns["user_key"]))
        _, first = np.unique(self.columns["user_key"][order], return_index=True)
        return rows_of(self.columns, np.sort(order[first]))


def open_training(pairs: Pairs, encoder: CachedEncoder, seed: int) -> Training:
    """The pairs that build_pairs wrote, at most MOST_PAIRS of them, and every distinct text with its vector."""
    parts = [read_file_pyarrow(path) for path in pairs.files]
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    count = len(columns["cutoff_day"])
    if count > MOST_PAIRS:
        columns = rows_of(columns, np.sort(np.random.default_rng(seed).permutation(count)[:MOST_PAIRS]))
    keys, strings = pairs.texts()
    texts = encoder.table(keys, strings)
    return Training(pairs, columns, tuple(strings[i] for i in np.argsort(keys)), texts, encoder, found_default(), seed)


def history_keys(users: Columns, sources: Sequence[str] = EVENT_SOURCES) -> "np.ndarray":
    """int64 [B, L]: the text keys of the histories of these sources side by side, 0 where there is none."""
    return np.concatenate([users[f"{source}_text"] for source in sources], axis=1)


def history_days(users: Columns, sources: Sequence[str] = EVENT_SOURCES) -> "np.ndarray":
    """int32 [B, L]: the days of the same."""
    return np.concatenate([users[f"{source}_day"] for source in sources], axis=1)


def count_of(users: Columns) -> int:
    return len(users["cutoff_day"])


def in_chunks(users: Columns, size: int) -> list[Columns]:
    """The users in parts of at most so many."""
    return [rows_of(users, slice(start, start + size)) for start in range(0, count_of(users), size)]
