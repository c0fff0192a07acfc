"""Profile columns in words: ages, genders, places and whatever else the lake's profile holds, and nothing else.

A rule is (kind, pattern, reader); an age where the lake knows none is of kind "unknown", a man or woman of kind
"person" with the value True where the lake does not tell them apart.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from model.rewriting.document import AND, BETWEEN, OR, Comparison, Profile
from model.rewriting.phrases import AGE_COLUMNS, GENDER_COLUMNS, GENDERS, PEOPLE, PLACE_COLUMNS
from model.rewriting.quantities import BEFORE, NUMBER, comparison, either, number, quantity
from model.rewriting.words import MOST_VALUES, LakeWords

Rule = tuple[str, str, Callable[["re.Match[str]"], Any]]

_DECADES = {
    name: 10 * tens
    for tens, name in enumerate("twenties thirties forties fifties sixties seventies eighties nineties".split(), 2)
}
_OLD = r"(?:years? old|years? of age|-?year-?olds?)"
_NEXT = "who|that|in|on|near|from|and|or|but|with|without|except|whose|aged|holding|having|living|based|resident|coming"
_ENDS = rf"(?=$|[ ]?[,.;!?]|(?:'s|s)? (?:{_NEXT})\b|s\b)"
"""A bare number over which people are old is followed by one of these, never by a thing that is counted."""
_PERSON = either([*PEOPLE, *(pattern for pattern, _ in GENDERS)])


def plain_rules(words: LakeWords) -> Iterator[Rule]:
    """What cannot be meant otherwise: "aged 20 to 30", "income over 50000", "from Rome", "tier gold"."""
    age = next((c for c in words.numbers if c in AGE_COLUMNS), "")
    kind = "profile" if age else "unknown"
    yield kind, rf"(?P<low>)(?P<pre>{BEFORE}|past) the age of (?P<n>{NUMBER})(?P<post>)", _number(age)
    yield kind, rf"between the ages of (?P<low>{NUMBER}) and (?P<high>{NUMBER})", _number(age)
    group = r"aged|ages|(?:in the )?age (?:group|range|bracket)|age"
    yield kind, rf"(?:{group}) (?:is |of )?{quantity()}(?: {_OLD})?", _number(age)
    yield kind, rf"(?:have|has) (?P<not>not )?(?:yet |already )?turned (?P<n>{NUMBER})", _turned(age)
    yield kind, rf"(?:of |from )?{quantity()} ?{_OLD}", _number(age)
    yield (
        kind,
        rf"(?:of )?(?P<low>)(?P<pre>)(?P<n>{NUMBER}) years (?P<post>(?:or|and) (?:older|younger|over|under))",
        _number(age),
    )
    yield kind, rf"in (?:their|his|her) (?:late |early |mid )?(?P<decade>{either(_DECADES)}|[2-9]0'?s)", _decade(age)
    for column in words.numbers:
        if column != age:
            yield "profile", rf"{_of(column)}(?: is|:)? {quantity()}", _number(column)
    for column, values in words.categories.items():
        if 0 < len(values) <= MOST_VALUES:
            yield from _category_rules(column, values)


def bare_rules(words: LakeWords) -> Iterator[Rule]:
    """What amounts, counts and times leave over: "women", "over 30"."""
    age = next((c for c in words.numbers if c in AGE_COLUMNS), "")
    yield "profile" if age else "unknown", rf"{quantity()}(?: years)?{_ENDS}", _bare_age(age)
    column = next((c for c in words.categories if c in GENDER_COLUMNS), "")
    values = {value.lower(): value for value in words.categories.get(column, ())}
    for pattern, names in GENDERS:
        value = next((values[name] for name in names if name in values), "")
        yield "person", rf"(?:{pattern})(?!')", _said((Profile(column, value),) if value else True)


def _category_rules(column: str, values: Sequence[str]) -> Iterator[Rule]:
    own = {value.lower(): value for value in values if value}
    one = "(?:" + "|".join(sorted(map(re.escape, own), key=lambda v: (-len(v), v))) + ")"
    read = _values(column, own, one)
    several = rf"{one}(?:(?:,| or| and|, or) (?:in |from )?{one})*"
    if column in PLACE_COLUMNS:
        home = r"(?:live|lives|living|based|located|situated|residing|resident|come|comes|coming|are)"
        whose = rf"whose (?:home|home town|{_words(column)}) is"
        near = rf"residents? of|{whose}|with an address in|in and around|(?:from )?outside(?: of)?"
        place = rf"(?:(?:not |never )?{home}? ?(?:in|from|near|around)|{near})"
        yield "profile", rf"{place} (?:the )?{several}(?! \d)", read
    yield "profile", rf"{_of(column)}(?: is|:| =| equals)? (?:not )?{several}", read
    yield "profile", rf"with {several} as (?:the|their) {_words(column)}", read
    yield "profile", rf"(?:(?:in|of|with) (?:the |an? )?)?{several} {_words(column)}", read
    yield "profile", rf"{one}(?= {_PERSON}(?!\w|'))", read


def _said(value: Any) -> Callable[["re.Match[str]"], Any]:
    return lambda match: value


def _of(column: str) -> str:
    return rf"(?:(?:with|whose|where|having|holding|on) )?(?:an? |the )?{_words(column)}(?: of)?"


def _words(column: str) -> str:
    return re.escape(column.lower().replace("_", " "))


def _values(column: str, own: dict[str, str], one: str) -> Callable[["re.Match[str]"], Any]:
    def read(match: "re.Match[str]") -> Any:
        said = match.group()
        negated = bool(re.search(r"\b(?:not|never|outside)\b", said))
        found = [own[value] for value in re.findall(rf"(?<!\w){one}(?!\w)", said)]
        joined = AND if negated else OR
        each = (Profile(column, value, negated=negated, joined=joined if n else AND) for n, value in enumerate(found))
        return tuple(each) or None

    return read


def _number(column: str) -> Callable[["re.Match[str]"], Any]:
    return lambda match: (Profile(column, comparison=comparison(match)),) if column else True


def _turned(column: str) -> Callable[["re.Match[str]"], Any]:
    def read(match: "re.Match[str]") -> Any:
        reached = Comparison("<" if match["not"] else ">=", number(match["n"]))
        return (Profile(column, comparison=reached),) if column else True

    return read


def _decade(column: str) -> Callable[["re.Match[str]"], Any]:
    def read(match: "re.Match[str]") -> Any:
        said = match["decade"]
        first = _DECADES.get(said) or int(said[:2])
        return (Profile(column, comparison=Comparison(BETWEEN, first, first + 9)),) if column else True

    return read


def _bare_age(column: str) -> Callable[["re.Match[str]"], Any]:
    def read(match: "re.Match[str]") -> Any:
        found = comparison(match)
        compared = bool(match["low"] or match["pre"] or match["post"])
        if not compared or not 10 <= found.value <= 120:
            return None
        return (Profile(column, comparison=found),) if column else True

    return read
