"""Numbers and comparisons in words: "more than 3", "between 20 and 50", "100 or more", "twice"."""

import re
from collections.abc import Iterable, Mapping

from model.rewriting.document import BETWEEN, Comparison
from model.rewriting.phrases import COMPARED, COMPARED_AFTER, NUMBERS


def either(patterns: Iterable[str]) -> str:
    """One group that matches any of the patterns, longer ones first; no pattern holds an alternative in brackets."""
    return "(?:" + "|".join(sorted("|".join(patterns).split("|"), key=lambda p: (-len(p), p))) + ")"


NUMBER = rf"(?:\d{{1,3}}(?:,\d{{3}}){{1,3}}\b|\d{{1,9}}(?:\.\d{{1,4}})?k?(?![\d.]*\d)|{either(NUMBERS)}\b)"
BEFORE, AFTER = either(COMPARED), either(COMPARED_AFTER)


def quantity(before: str = "", after: str = "", *, after_low: str | None = None) -> str:
    """A pattern with the groups low and high, or pre, n and post; `before` and `after` surround each number, unless
    `after_low` follows the lower of two."""
    low = rf"{before}(?P<low>{NUMBER}){after if after_low is None else after_low}"
    high = rf"{before}(?P<high>{NUMBER}){after}"
    spread = rf"(?P<between>between )?{low} ?(?(between)(?:and|to)|(?:to|-)) ?{high}"
    return rf"(?:{spread}|(?:(?P<pre>{BEFORE}) )?{before}(?P<n>{NUMBER}){after}(?: ?(?P<post>{AFTER})(?!\w))?)"


def number(text: str) -> float:
    """What NUMBER matched."""
    if text in NUMBERS:
        return NUMBERS[text]
    value = float(text.replace(",", "").removesuffix("k")) * (1000 if text.endswith("k") else 1)
    return int(value) if value.is_integer() else value


def comparison(match: "re.Match[str]") -> Comparison:
    """What a pattern of `quantity` matched; a bare number is meant exactly."""
    if match["low"]:
        low, high = sorted((number(match["low"]), number(match["high"])))
        return Comparison(BETWEEN, low, high)
    said = _meaning(COMPARED, match["pre"]) or _meaning(COMPARED_AFTER, match["post"]) or "="
    return Comparison(said, number(match["n"]))


def _meaning(table: Mapping[str, str], said: str | None) -> str:
    found = (op for pattern, op in table.items() if said and re.fullmatch(pattern, said))
    return next(found, "")
