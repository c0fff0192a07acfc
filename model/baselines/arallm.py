"""ARALLM (Wang et al. 2024): a demand becomes a logical expression over tags (SELL), executed on users.

Here the grammar reads the demand and retrieval finds the tags: words that several of the lake's texts share, single
texts, what a profile says (model/rewriting); where a causal language model is at hand, plain or fine-tuned, it is
asked first. Tags have degrees: n matching events hold a tag to n / (n + 1); NOT is the complement, OR the
maximum, AND the mean over its parts, so that users who meet most of an expression come before those who meet little.
Shape suffixes: B users, C demands, L history slots, V texts, K tags, E encoder width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.templates import text_key
from feature_repo.contracts.windows import day_date
from model.baselines.activity import event_counts
from model.baselines.protocol import Scores
from model.baselines.training import Training, count_of, history_days, history_keys
from model.data import Columns
from model.rewriting.document import BETWEEN, PAST, Behaviour, Comparison, Condition, Profile, Rewritten
from model.rewriting.lake import KnownLake, know_lake
from model.rewriting.language_model import LanguageModel, LanguageModelRewriter
from model.rewriting.offline import Encode, OfflineRewriter

NEAR_TAG = 0.6
"""The least cosine of a tag's word to a topic; no text may be nearer, else the word says less than was asked."""
MOST_TAGS = 3


@dataclass(frozen=True)
class Tags:
    """The lake's tags: words that several of its texts share, their vectors [K, E] and the texts that hold them."""

    words: tuple[str, ...]
    vectors_KE: "np.ndarray"
    texts: tuple[tuple[str, ...], ...]

    def near(self, vector_E: "np.ndarray", *, least: float) -> list[int]:
        """The places of the few tags that say what a topic says, with a cosine of `least` or more, best first."""
        cosine_K = self.vectors_KE @ vector_E
        best = np.argsort(-cosine_K, kind="stable")[:MOST_TAGS]
        return [int(place) for place in best if cosine_K[place] >= max(NEAR_TAG, least)]


@dataclass(frozen=True)
class Operand:
    """A condition of an expression: the names of its tags, and the texts that carry them."""

    condition: Condition
    names: tuple[str, ...]
    texts: tuple[str, ...]

    def __str__(self) -> str:
        condition = self.condition
        if isinstance(condition, Profile):
            bound = condition.comparison
            said = f"= {condition.value}" if bound is None else f"{bound.op} {bound.value:g}"
            said = f"{condition.column} {said}"
        else:
            said = " | ".join(self.names) or condition.topic or f"any {condition.source or 'event'}"
        return f"NOT [{said}]" if condition.negated else f"[{said}]"


Expression = tuple[tuple[Operand, ...], ...]
"""All groups must hold; of a group one operand is enough."""


@dataclass(frozen=True)
class Arallm:
    """The rewriter of a lake, its tags, and the execution of expressions."""

    lake: KnownLake
    vectors_VE: "np.ndarray"
    tags: Tags
    encode: Encode
    language_model: LanguageModel | None = None

    def scores(self, users: Columns, demands: Sequence[str]) -> Scores:
        rewriter = self.rewriter(_day(users))
        found = [self.executed(self.expression(rewriter.rewrite(demand)), users) for demand in demands]
        return np.stack(found, axis=1)

    def rewriter(self, day: date) -> OfflineRewriter | LanguageModelRewriter:
        """What reads demands as of a day."""
        offline = OfflineRewriter(self.lake, self.vectors_VE, self.encode, day)
        return offline if self.language_model is None else LanguageModelRewriter(self.language_model, offline)

    def expression(self, rewritten: Rewritten) -> Expression:
        """The demand over the lake's tags."""
        operands = iter(self._operand(c, rewritten, place) for place, c in enumerate(rewritten.conditions))
        return tuple(tuple(next(operands) for _ in group) for group in rewritten.groups)

    def executed(self, expression: Expression, users: Columns) -> Scores:
        """[B] in [0, 1]: the degree to which each user meets the expression; 0 where it has no tag."""
        groups: list[Scores] = []
        for group in expression:
            degrees = [self._degree(operand, users) for operand in group]
            if known := [degree for degree in degrees if degree is not None]:
                groups.append(np.max(known, axis=0))
        return np.mean(groups, axis=0) if groups else np.zeros(count_of(users))

    def _operand(self, condition: Condition, rewritten: Rewritten, place: int) -> Operand:
        said = [s for s in rewritten.sentences if s.condition == place]
        texts = [s.text for s in said]
        if isinstance(condition, Profile) or not condition.topic or condition.negated:
            return Operand(condition, tuple(texts), tuple(texts))  # a wider NOT would refuse more than was asked
        nearest_text = max((s.similarity for s in said), default=0.0)
        near = self.tags.near(self.encode([condition.topic])[0], least=nearest_text)
        names = (*(self.tags.words[i] for i in near), *texts)
        return Operand(condition, names, tuple(dict.fromkeys((*texts, *(t for i in near for t in self.tags.texts[i])))))

    def _degree(self, operand: Operand, users: Columns) -> Scores | None:
        """[B], or None where the lake has no tag for it."""
        condition = operand.condition
        if isinstance(condition, Profile):
            held = self._profile(condition, users).astype(np.float64)
        elif condition.topic and not operand.texts:
            return None
        else:
            count_B = _events(condition, operand.texts, users)
            held = count_B / (count_B + 1)
        return 1 - held if condition.negated else held

    def _profile(self, condition: Profile, users: Columns) -> "np.ndarray":
        """bool [B]"""
        words = self.lake.words
        if condition.comparison is None:
            column = sorted(words.categories).index(condition.column)
            return users["profile_categories"][:, column] == text_key(condition.value)
        return compared(users["profile_numbers"][:, words.numbers.index(condition.column)], condition.comparison)


def fit(training: Training, language_model: LanguageModel | None = None) -> Arallm:
    """The lake of the pairs; nothing is trained here (model/rewriting/fine_tune.py teaches language models)."""
    vectors = np.asarray(training.texts.vectors[1:])
    concepts = training.sentences.concepts
    holding = [np.flatnonzero(member_V) for member_V in concepts.member_VC.T]
    texts = tuple(tuple(training.strings[row] for row in rows) for rows in holding)
    tags = Tags(concepts.words, training.encoder.encode(concepts.words), texts)
    return Arallm(know_lake(training.pairs), vectors, tags, training.encoder.encoder.encode, language_model)


def sell(expression: Expression) -> str:
    """The expression as text: groups joined by AND, of OR, of tags."""
    groups = [" OR ".join(map(str, group)) for group in expression]
    return " AND ".join(f"({said})" if len(group) > 1 else said for group, said in zip(expression, groups, strict=True))


def compared(values_B: "np.ndarray", comparison: Comparison) -> "np.ndarray":
    """bool [B]; a missing value meets nothing."""
    value = comparison.value
    if comparison.op == BETWEEN:
        return (values_B >= value) & (values_B <= float(comparison.upper or value))
    compare = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal, "=": np.equal}
    return np.asarray(compare[comparison.op](values_B, value))


def _events(condition: Behaviour, texts: Sequence[str], users: Columns) -> Scores:
    """[B]: the events that carry the tag, within the condition's days where it looks back."""
    if not condition.topic and condition.window is None:
        counts = users[f"{condition.source}_count"] if condition.source else event_counts(users)
        return np.asarray(counts, np.float64)
    sources = (condition.source,) if condition.source else EVENT_SOURCES
    key_BL, day_BL = history_keys(users, sources), history_days(users, sources)
    carries_BL = np.isin(key_BL, [text_key(text) for text in texts]) if condition.topic else key_BL != 0
    if condition.window and condition.tense == PAST and condition.window.within_days:
        carries_BL &= day_BL >= users["cutoff_day"][:, None] - condition.window.within_days
    return carries_BL.sum(1).astype(np.float64)


def _day(users: Columns) -> date:
    return day_date(int(users["cutoff_day"].max(initial=0)))
