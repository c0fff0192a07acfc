"""Rewriting without a language model: the grammar reads the demand, the lake's own texts answer its topics."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date

import numpy as np

from feature_repo.contracts.templates import EVENT_TEMPLATES, NOTHING, PAYMENT, SPENT_SUMMARY, level, money
from model.rewriting.document import ANY, FUTURE, Amount, Behaviour, Condition, Rewritten, Sentence
from model.rewriting.grammar import Grammar
from model.rewriting.lake import KnownLake
from model.rewriting.retrieval import NEAR, Retrieval

Encode = Callable[[Sequence[str]], "np.ndarray"]
"""Unit vectors [N, E] of texts, in their order."""


class OfflineRewriter:
    """Rewrites demands about one lake as of a day; the same demand gives the same answer."""

    def __init__(self, lake: KnownLake, vectors_VE: "np.ndarray", encode: Encode, day: date) -> None:
        """`vectors_VE` are what `encode` gives for the lake's texts."""
        self.lake, self.encode, self.day = lake, encode, day
        self.grammar, self.retrieval = Grammar(lake.words, day), Retrieval(lake, vectors_VE)

    def rewrite(self, demand: str) -> Rewritten:
        """Never raises. Where nothing of the lake is near, there is no sentence and `reason` says so."""
        parsed = self.grammar.parse(demand)
        rest, reasons = list(parsed.rest), list(parsed.notes)
        sentences, far = self.sentences(parsed.conditions)
        for topic, source, best in far:
            rest.append(topic)
            texts = f"text of {source}" if source else "text"
            reasons.append(f"no {texts} in the lake is near {topic!r} ({best:.2f} at best, {NEAR} needed)")
        reasons += self._about_money(parsed.conditions)
        if not parsed.conditions:
            rest = rest or [demand.strip()]
            reasons.append("the demand names nothing that users do or are")
        return Rewritten(demand, tuple(sentences), parsed.conditions, "; ".join(filter(None, rest)), "; ".join(reasons))

    def sentences(self, conditions: Sequence[Condition]) -> tuple[list[Sentence], list[tuple[str, str, float]]]:
        """The sentences for these conditions, and (topic, source, best cosine) of the topics that found none."""
        topics = {c.topic: None for c in conditions if isinstance(c, Behaviour) and c.topic}
        vectors = dict(zip(topics, np.asarray(self.encode(list(topics))), strict=True)) if topics else {}
        found: list[Sentence] = []
        far: list[tuple[str, str, float]] = []
        for place, condition in enumerate(conditions):
            if not isinstance(condition, Behaviour):
                continue
            found += [s for s in rendered(condition, place, self.lake.words.currency) if s.text in self.lake.distinct]
            if condition.topic:
                near = self.retrieval.nearest(vectors[condition.topic], condition.source)
                found += [Sentence(text, cosine, place, condition.negated) for text, cosine in near.texts]
                far += [(condition.topic, condition.source, near.best)] if not near.texts else []
        return found, far

    def _about_money(self, conditions: Sequence[Condition]) -> Iterator[str]:
        own = self.lake.words.currency
        amounts = [c.amount for c in conditions if isinstance(c, Behaviour) and c.amount]
        for currency in dict.fromkeys(amount.currency for amount in amounts if amount.currency != own):
            yield f"the lake counts in {own or 'a currency it does not name'}, not in {currency}: nothing is converted"


def rendered(behaviour: Behaviour, place: int, currency: str) -> Iterator[Sentence]:
    """The template sentences that say what a future behaviour says, whatever its topic; true of a whole future."""
    if behaviour.tense != FUTURE:
        return
    said = bool(behaviour.topic or behaviour.amount or behaviour.channel)
    if not said and behaviour.negated:
        yield Sentence(NOTHING, 1.0, place)
    if not said and behaviour.source != ANY:
        yield Sentence(EVENT_TEMPLATES[behaviour.source].summary, 1.0, place, behaviour.negated)
    if behaviour.channel:
        yield Sentence(PAYMENT.lead + behaviour.channel, 1.0, place, behaviour.negated)
    if behaviour.amount and behaviour.amount.currency == currency:
        yield from _spent(behaviour.amount, place, negated=behaviour.negated)


def _spent(amount: Amount, place: int, *, negated: bool) -> Iterator[Sentence]:
    """Spending at the largest step below; what bounds spending from above is its negation."""
    step = level(amount.value)
    if step and amount.op != "=":
        text = SPENT_SUMMARY.format(amount=money(step, amount.currency))
        bounded_above = amount.op in ("<", "<=")
        yield Sentence(text, 1.0, place, negated != bounded_above)
