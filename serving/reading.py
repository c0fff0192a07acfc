"""How a demand is read: what the model is asked, what is filtered, what was not understood.

A demand about one thing that users will do is read by the model as it was written. Only what the model cannot know from
a sentence is taken out of it: what users are and did becomes filters and rules, inactivity is asked in the template's
own words ("The user did nothing"), and several intents are asked one by one. Words are only ever words: nothing in a
demand changes which filters and limits apply.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from feature_repo.contracts.settings import ENGLISH
from feature_repo.contracts.templates import EVENT_TEMPLATES, NOTHING
from model.rewriting.document import AND, FUTURE, OR, Behaviour, Condition, Rewritten
from model.rewriting.grammar import Grammar, Parsed
from model.rewriting.languages import other_language
from model.rewriting.offline import rendered
from model.rewriting.phrases import VAGUE
from model.rewriting.show import told as in_words
from serving.audience import History
from serving.audience import Rewritten as Told
from serving.conditions import Compiled, Compiler
from serving.errors import DemandTooLong, EmptyDemand, OtherLanguage
from serving.filters import Condition as FilterCondition
from serving.history import AnyRule
from serving.question import MOST_CHARACTERS, Asked, Question
from serving.telemetry.stages import stage
from serving.texts import TextTable

TEXTS_SHOWN = 5
PHRASES = {"bills": "Customers who will buy {}", "searches": "Users who are going to look for {}"}
_INTEREST = "People interested in {}"
_NOT = "Users who will not {}"
_ACTIVE = Asked(NOTHING, negated=True)
_TEMPLATES = frozenset([NOTHING, *(template.summary for template in EVENT_TEMPLATES.values())])
"""Sentences about a whole future: these are what the model was taught, word by word."""
_NO_PARSE = Parsed((), (), ())


@dataclass(frozen=True)
class Reading:
    """`filters` are those of the demand's words; `rest` was not understood."""

    asked: tuple[Asked, ...]
    conditions: tuple[Condition, ...] = ()
    filters: tuple[FilterCondition, ...] = ()
    rules: tuple[AnyRule, ...] = ()
    rest: str = ""
    warnings: tuple[str, ...] = field(default=())

    def documents(self) -> tuple[dict[str, Any], ...]:
        """The conditions as JSON, to be edited and asked again."""
        return tuple(Rewritten("", conditions=self.conditions).to_dict().get("conditions", []))

    def said(self) -> tuple[str, ...]:
        """The conditions in words."""
        return tuple(map(in_words, self.conditions))

    def told(self, texts: TextTable) -> Told:
        """What an answer says of it; rules with the shortest texts that they are about."""
        rules = [rule for group in self.rules for rule in group.rules]
        known = texts.of([key for rule in rules for key in rule.keys])
        own = [sorted((known[key] for key in rule.keys if key in known), key=lambda t: (len(t), t)) for rule in rules]
        histories = (
            History(rule.name, tuple(found[:TEXTS_SHOWN]), len(rule.keys))
            for rule, found in zip(rules, own, strict=True)
        )
        return Told(self.asked, self.said(), tuple(histories), self.rest, self.warnings)


@dataclass(frozen=True)
class Reader:
    """Reads demands about one collection as of its day."""

    grammar: Grammar
    compiler: Compiler
    horizon_days: int
    language: str = ENGLISH

    def check(self, demand: str) -> None:
        """Raises DemandTooLong or OtherLanguage."""
        if len(demand) > MOST_CHARACTERS:
            raise DemandTooLong(f"a demand has at most {MOST_CHARACTERS} characters, found {len(demand)}.")
        if self.language == ENGLISH and (other := other_language(demand)):
            raise OtherLanguage(f"the encoder reads English, the demand seems to be in {other}.")

    @stage("read")
    def read(self, question: Question) -> Reading:
        """Raises EmptyDemand, DemandTooLong or OtherLanguage."""
        demand = question.demand.strip()
        if not demand and not question.sentences and not question.conditions:
            raise EmptyDemand("a demand must be a sentence, found an empty one.")
        for text in (demand, *(sentence.text for sentence in question.sentences or ())):
            self.check(text)
        if demand in _TEMPLATES and question.conditions is None:
            return Reading(question.sentences or (Asked(demand),))
        parsed = self.grammar.parse(demand) if demand else _NO_PARSE
        conditions = parsed.conditions if question.conditions is None else question.conditions
        edited = conditions != parsed.conditions
        compiled = self.compiler.compiled(conditions)
        asked = question.sentences or self._asked("" if edited else demand, compiled)
        return Reading(
            asked=asked,
            conditions=conditions,
            filters=compiled.filters,
            rules=compiled.rules,
            rest="" if edited else "; ".join(parsed.rest),
            warnings=(*compiled.warnings, *parsed.notes, *self._warnings(asked, demand, compiled)),
        )

    def _asked(self, demand: str, compiled: Compiled) -> tuple[Asked, ...]:
        """What the model is asked; the demand itself where it is about one thing that will happen."""
        coming = [condition for group in compiled.future for condition in group]
        narrowed = compiled.filters or compiled.rules
        taken_out = any(self._is_negation(c) for c in coming) or len({c.source for c in coming}) > 1
        if demand and not narrowed and not taken_out:
            return (Asked(demand),)
        if not coming:
            did = any(not rule.negated for group in compiled.rules for rule in group.rules)
            return (Asked(demand),) if demand and did else (_ACTIVE,)
        return _merged([self._sentence(c, place) for group in compiled.future for place, c in enumerate(group)])

    def _is_negation(self, condition: Behaviour) -> bool:
        """Inactivity, or not doing what some text of the lake says. Other negations ("repay nothing") may be what the
        lake's own texts say: the model reads them."""
        known = not condition.topic or self.compiler.topics.about(condition.topic).by_words
        return condition.negated and known

    def _sentence(self, condition: Behaviour, place: int) -> tuple[Behaviour, Asked]:
        joined = OR if place else AND
        if condition.topic:
            negated = self._is_negation(condition)
            phrase = _NOT if condition.negated and not negated else PHRASES.get(condition.source, _INTEREST)
            return condition, Asked(phrase.format(condition.topic), negated, joined)
        said = next(rendered(condition, 0, self.compiler.currency), None)
        return condition, Asked(said.text, said.negated, joined) if said else Asked(NOTHING, True, joined)

    def _warnings(self, asked: Sequence[Asked], demand: str, compiled: Compiled) -> list[str]:
        told: list[str] = []
        coming = [condition for group in compiled.future for condition in group]
        topics = list(dict.fromkeys(c.topic for c in coming if c.topic))
        far = [t for t in topics if set(t.split()) <= VAGUE or not self.compiler.topics.knows(t)]
        nothing = not coming and not compiled.filters and not compiled.rules
        if nothing or (far and far == topics and all(c.topic and not (c.amount or c.count) for c in coming)):
            what = (
                f"nothing in this lake is meant by {', '.join(map(repr, far))}"
                if far
                else "it names nothing users do or are"
            )
            told.append(f"too vague to tell users apart: {what}; the order is mostly that of how active users are")
        if asked == (_ACTIVE,):
            told.append(
                "the sentence says nothing that will happen: users are ordered by whether they will do anything"
            )
        days = {c.window.within_days for c in coming if c.window and c.window.within_days}
        if self.horizon_days and days - {self.horizon_days}:
            told.append(f"probabilities are for the next {self.horizon_days} days, whatever time the sentence names")
        return told


def _merged(sentences: Sequence[tuple[Behaviour, Asked]]) -> tuple[Asked, ...]:
    """Several things of one source are one intent, as the model reads them in one sentence."""
    kept: list[tuple[Behaviour, Asked]] = []
    for condition, asked in sentences:
        if kept and _are_one(kept[-1][0], condition):
            before, earlier = kept[-1]
            text = f"{earlier.text} {condition.joined} {condition.topic}"
            kept[-1] = before, Asked(text, earlier.negated, earlier.joined)
        else:
            kept.append((condition, asked))
    return tuple(asked for _, asked in kept)


def _are_one(one: Behaviour, other: Behaviour) -> bool:
    same = one.source == other.source and one.tense == other.tense == FUTURE
    return bool(same and one.topic and other.topic and not one.negated and not other.negated)
