"""What is asked of the desk, from JSON: a demand, or the sentences and conditions of an answer, edited."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from feature_repo.contracts.errors import FoundError
from model.combining import Sentence as Asked
from model.rewriting.document import AND, OR, Condition, Rewritten
from serving.errors import InvalidConditions, InvalidFilter
from serving.filters import AnyOf, Filter
from serving.filters import Condition as FilterCondition

__all__ = ["Asked", "Question", "question_of"]

MOST_SENTENCES = 8
MOST_CONDITIONS = 24
MOST_CHARACTERS = 1_000
EXPLAINED, MOST_EXPLAINED = 20, 50
"""Reasons are for people who read a list: so many users have them unless more are asked for, and at most so many."""


@dataclass(frozen=True)
class Question:
    """`sentences` and `conditions` stand in for what the demand would be read as; None where it is to be read."""

    demand: str = ""
    sentences: tuple[Asked, ...] | None = None
    conditions: tuple[Condition, ...] | None = None
    filters: tuple[FilterCondition, ...] = ()
    exclude_users: tuple[str, ...] = ()


NO_QUESTION = Question()


def question_of(
    demand: str = "",
    *,
    sentences: Sequence[Mapping[str, Any]] | None = None,
    conditions: Sequence[Mapping[str, Any]] | None = None,
    filters: Sequence[Mapping[str, Any]] = (),
    exclude_users: Sequence[str] = (),
) -> Question:
    """The question in these JSON values. Raises InvalidConditions or InvalidFilter naming what is wrong."""
    return Question(
        demand,
        None if sentences is None else _sentences(sentences),
        None if conditions is None else _conditions(conditions),
        tuple(map(_filter, filters)),
        tuple(dict.fromkeys(exclude_users)),
    )


def _sentences(given: Sequence[Mapping[str, Any]]) -> tuple[Asked, ...]:
    if not 1 <= len(given) <= MOST_SENTENCES:
        raise InvalidConditions(f"`sentences` has 1 to {MOST_SENTENCES} sentences, found {len(given)}.")
    found = [Asked(**each) for each in given]
    for place, sentence in enumerate(found):
        if not sentence.text.strip() or len(sentence.text) > MOST_CHARACTERS:
            raise InvalidConditions(f"a sentence has 1 to {MOST_CHARACTERS} characters, found {len(sentence.text)}.")
        if sentence.joined not in ((AND, OR) if place else (AND,)):
            raise InvalidConditions(
                f"`joined` is 'and' or 'or', the first sentence's 'and'; found {sentence.joined!r}."
            )
    return tuple(found)


def _conditions(given: Sequence[Mapping[str, Any]]) -> tuple[Condition, ...]:
    if len(given) > MOST_CONDITIONS:
        raise InvalidConditions(f"`conditions` has at most {MOST_CONDITIONS} conditions, found {len(given)}.")
    try:
        return Rewritten.from_dict({"demand": "", "conditions": list(given)}).conditions
    except FoundError as error:
        raise InvalidConditions(f"the conditions cannot be read: {error}") from error


def _filter(given: Mapping[str, Any]) -> FilterCondition:
    if "any" in given:
        return AnyOf(tuple(_one_filter(each) for each in given["any"]))
    return _one_filter(given)


def _one_filter(given: Mapping[str, Any]) -> Filter:
    if set(given) != {"field", "op", "value"}:
        raise InvalidFilter(f"a filter has field, op and value, found {sorted(map(str, given))}.")
    value = given["value"]
    return Filter(given["field"], given["op"], tuple(value) if isinstance(value, list) else value)
