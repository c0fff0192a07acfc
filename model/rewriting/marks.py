"""Finds in a demand what the grammar knows, each piece of text once; all else are words."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from model.rewriting import phrases
from model.rewriting.document import ANY, FUTURE, PAST, Amount, Comparison
from model.rewriting.profiles import Rule, bare_rules, plain_rules
from model.rewriting.quantities import AFTER, BEFORE, comparison, either, quantity
from model.rewriting.times import Reader
from model.rewriting.times import patterns as time_patterns
from model.rewriting.words import LakeWords

Read = Callable[["re.Match[str]"], Any]
_ALREADY = r"(?:(?:not|never|already|yet|ever|just|recently|also|only|no longer) )*"
_SPENT = re.compile(r"(?:spen[dt]|spends|spending|pay|paid|pays|paying|worth)(?: a total of)?(?: for)? ?$")
_AFTER_ARTICLE = r"(?:(?<=\ba )|(?<=\ban )|(?<=\bno )|(?<=\bany )|(?<=\bthe ))"
_TAKEN = "\0"
_EDGES = " .!?:\"'[]{}<>*#/\\-"


@dataclass(frozen=True)
class Mark:
    """One stretch of a demand; `kind` says what `value` is."""

    start: int
    end: int
    kind: str
    value: Any
    text: str


@dataclass(frozen=True)
class Verb:
    """A verb or a noun for an event. `tense` is "" where the form tells none; `form` is base, past, going or noun."""

    source: str
    form: str

    @property
    def tense(self) -> str:
        return PAST if self.form == "past" else ""


def normalised(demand: str) -> str:
    """Lower case, one space between words, contractions written out."""
    text = re.sub(rf"[\s{_TAKEN}]+", " ", demand.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")).strip()
    for pattern, written in phrases.CONTRACTIONS.items():
        text = re.sub(pattern, written, text)
    return text


class Scanner:
    """The patterns of one lake, asked on one day."""

    def __init__(self, words: LakeWords, day: date) -> None:
        self.words, self.day = words, day
        self.rules = [(kind, re.compile(rf"(?<![\w/-])(?:{p})(?![\w/-])"), read) for kind, p, read in self._rules()]
        self.rules += [("joint", re.compile(p), _always(v)) for p, v in phrases.PUNCTUATION.items()]

    def marks(self, text: str) -> list[Mark]:
        """All of a normalised text but spaces and stops, in order, nothing twice; earlier rules win."""
        taken = bytearray(len(text))
        found: list[Mark] = []
        for kind, pattern, read in self.rules:
            for match in pattern.finditer(text):
                start, end = match.span()
                if start == end or any(taken[start:end]):
                    continue
                value = read(match)
                if value is not None:
                    taken[start:end] = b"\1" * (end - start)
                    found.append(Mark(start, end, kind, value, match.group()))
        return sorted([*found, *_words(text, taken)], key=lambda mark: mark.start)

    def _rules(self) -> Iterator[Rule]:
        for pattern, read in time_patterns():
            yield "time", pattern, self._timed(read)
        yield from plain_rules(self.words)
        yield from _count_rules()
        yield from self._amount_rules()
        yield from bare_rules(self.words)
        yield from self._channel_rules()
        yield from _language_rules()
        for joint, meaning in phrases.JOINTS.items():
            yield "joint", joint, self._joint(meaning)

    def _timed(self, read: Reader) -> Read:
        return lambda match: read(match, self.day)

    def _joint(self, meaning: tuple[str, bool]) -> Read:
        return lambda match: None if self._holds(match) else meaning

    def _amount_rules(self) -> Iterator[Rule]:
        own = {re.escape(self.words.currency.lower()): self.words.currency} if self.words.currency else {}
        names = {**phrases.CURRENCIES, **own}
        unit = either(names)
        around = {"before": rf"(?:{unit} ?)?", "after": rf"(?: ?{unit}(?!\w))?"}

        def read(match: "re.Match[str]") -> Amount | None:
            said = re.findall(rf"(?<![a-z]){unit}(?![a-z])", match.group())
            if not said and not _SPENT.search(match.string[: match.start()]):
                return None
            code = next((c for p, c in names.items() if said and re.fullmatch(p, said[0])), self.words.currency)
            found = comparison(match)
            return Amount(found.op, found.value, found.upper, code)

        yield "amount", rf"(?:worth )?{quantity(**around)}", read

    def _channel_rules(self) -> Iterator[Rule]:
        own = {channel.lower(): channel for channel in self.words.channels}
        if own:
            one = "|".join(sorted(map(re.escape, own), key=lambda c: (-len(c), c)))
            how = r"(?:by|with|via|using|through|on|in)"
            yield "channel", rf"{how} (?:an? |the |their )?(?P<c>{one})", lambda match: own[match["c"]]

    def _holds(self, match: "re.Match[str]") -> bool:
        """Does the conjunction stand inside a name of the lake, or inside a quantity?"""
        before = re.findall(r"\w+", match.string[: match.start()])[-1:] or [""]
        after = re.findall(r"\w+", match.string[match.end() : match.end() + 100])[:1]
        if after and after[0] in ("more", "less", "fewer", "so", "above", "over", "older", "under", "younger"):
            return True
        said = (
            {(before[0], match.group().replace("&", "and"), word) for word in (after[0], after[0].removesuffix("s"))}
            if after
            else set()
        )
        return bool(said & self.words.compounds)


def _count_rules() -> Iterator[Rule]:
    often = r"(?:times|occasions)"
    for pattern in (quantity(after=f" {often}", after_low=""), rf"{quantity()} {often}"):
        yield "count", pattern, _counted(ANY)
    once = either(phrases.TIMES)
    yield "count", rf"(?:(?P<pre>{BEFORE}) )?(?P<n>{once})(?: (?P<post>{AFTER}))?", _times
    for source, nouns in phrases.VERB_NOUNS.items():
        named = rf"{quantity()} (?:different |separate )?{either(nouns)}"
        yield "count", named, _counted(source)


def _counted(source: str) -> Read:
    return lambda match: (comparison(match), source)


def _times(match: "re.Match[str]") -> tuple[Comparison, str]:
    """ "at least twice": as a comparison of the number."""
    value = str(phrases.TIMES[match["n"]])
    said = re.fullmatch(quantity(), match.group().replace(match["n"], value))
    return (comparison(said) if said else Comparison("=", float(value))), ANY


def _language_rules() -> Iterator[Rule]:
    yield "opening", phrases.OPENING, _always(True)
    yield "filler", r"not only|not just", _always(True)
    yield "idle", "|".join(phrases.IDLE), lambda match: PAST if re.search(r"done|did|left|ed\b", match.group()) else ""
    yield "negation", "|".join(phrases.NEGATIONS), lambda match: bool(re.match(phrases.STOPPED, match.group()))
    participle = either([*(v for verbs in phrases.PAST_VERBS.values() for v in verbs), "been", r"\w+ed", "done"])
    going = either(v for verbs in phrases.GOING_VERBS.values() for v in verbs)
    yield "tense", "|".join((*phrases.FUTURE_WORDS, rf"(?:is|are|am)(?= (?:not )?{going}\b)")), _always(FUTURE)
    yield (
        "tense",
        rf"did|used to|was|were|went|made|had|placed|ran|took(?! home)|(?:have|has)(?= {_ALREADY}{participle}\b)",
        _always(PAST),
    )
    yield (
        "verb",
        r"(?:typed?|types|enter|enters|entered|puts?|putting|typing|entering)(?= .*\bsearch (?:bar|box|field)\b)",
        _typed,
    )
    yield "filler", r"(?:in|into|to) (?:the|our|a) search (?:bar|box|field)", _always(True)
    yield "filler", r"(?:from|with|at) (?:us|our (?:shop|store|site|website|stores))", _always(True)
    yield "filler", r"in (?:the|their|a) (?:shopping )?(?:cart|basket|bag|trolley)", _always(True)
    forms = (
        ("past", phrases.PAST_VERBS, str),
        ("going", phrases.GOING_VERBS, str),
        ("base", phrases.PRESENT_VERBS, _inflected),
        ("noun", phrases.VERB_NOUNS, str),
    )
    for source, nouns in phrases.VERB_NOUNS.items():
        yield "verb", rf"{_AFTER_ARTICLE}{either(nouns)}", _always(Verb(source, "noun"))
    for form, table, inflect in forms:
        for source, verbs in table.items():
            yield "verb", either(map(inflect, verbs)), _always(Verb(source, form))
    yield "verb", r"(?<=\bwho )\w{2,}(?<!e)ed", _always(Verb("", "past"))
    people = either(phrases.PEOPLE)
    yield (
        "people",
        rf"(?:(?:all|any|the|our|my|those) )*{people}(?: (?:who|that|which|whom))?(?!')|who|whom",
        _always(True),
    )
    yield "lovers", either(phrases.LOVERS), _always(True)


def _typed(match: "re.Match[str]") -> Verb:
    return Verb("searches", "past" if match.group() in ("typed", "entered", "put") else "base")


def _always(value: Any) -> Read:
    return lambda match: value


def _inflected(verb: str) -> str:
    first, *rest = verb.split()
    return " ".join([f"{first}(?:e?s)?", *rest])


def _words(text: str, taken: bytearray) -> Iterator[Mark]:
    """What no rule took."""
    free = "".join(_TAKEN if is_taken else character for character, is_taken in zip(text, taken, strict=True))
    for match in re.finditer(rf"[^{_TAKEN}]+", free):
        words = match.group().strip(_EDGES)
        if words:
            yield Mark(match.start(), match.end(), "words", None, words)
