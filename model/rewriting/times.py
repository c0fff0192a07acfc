"""Stretches of time in words, seen from a day: "in the last 90 days", "next month", "since 2024-01-01", "this summer".

Months count 30 days, quarters 90, years 365; "next month" is the next 30 days. Seasons are those of the northern half.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

from model.rewriting.document import FUTURE, PAST, Window
from model.rewriting.phrases import FEW, MONTHS, SEASONS, UNIT_DAYS
from model.rewriting.quantities import NUMBER, either, number

_UNIT = rf"(?P<unit>{either(UNIT_DAYS)})s?\b"
_MONTH = either(MONTHS)
_YEAR = r"(?:19|20|21)\d\d"
_DATE = rf"(?:{_YEAR}-\d\d-\d\d|(?:\d{{1,2}} )?{_MONTH} {_YEAR}|{_YEAR}(?!-)\b)"
_NAMED = rf"(?P<name>{either(SEASONS)}|{_MONTH})(?: (?P<year>{_YEAR}))?\b(?:'s)?"
_SOME_TIME = r"(?:at (?:any|some) (?:time|point)|some ?time|any ?time)"
_IN = (
    rf"(?:{_SOME_TIME} )?"
    r"(?:in|within|during|over|for|throughout|inside|across|(?:in|over) the course of)"
)
_SINCE = (
    rf"(?:{_SOME_TIME} )?"
    r"(?:(?:ever )?since|after|on or after|from|starting|starting from|beginning|later than|as of|as from)"
)
_THE = r"(?:(?:the|these|those|our) )?"
_LAST = r"(?:very |most )?(?:last|past|previous|preceding|prior|recent|latest|trailing)"
_NEXT = r"(?:very )?(?:next|coming|following|upcoming)"
_FEW = either(FEW)
_N = rf"(?P<n>{NUMBER}|{_FEW})(?: full| whole)?"
_ROLLING = r"(?:rolling|moving|look-?back|trailing)"
_SPAN = rf"(?:{_ROLLING} )?(?:window|period|span|time ?frame|stretch|space)"
_NOW = r"(?:today|now|date|this (?:day|moment)|the present(?: day)?)"
_GONE = (
    r"(?:(?:that|which) )?(?:(?:have|has|are|were) )?(?:only )?(?:just |now |already )?"
    rf"(?:gone(?: by| past)?|passed(?: by)?|past|elapsed|ended|behind (?:us|them)|so far|to date|preceding(?: {_NOW})?"
    r"|(?:before|until|till|prior to|ending|(?:(?:leading|running) )?up (?:to|until)|(?:counting |looking )?back from)"
    rf" {_NOW})"
)
_COME = (
    r"(?:(?:that|which) )?(?:(?:are|lie) )?(?:yet |still )?"
    rf"(?:ahead(?: of us)?|to come|coming|to follow|(?:counting |starting )?from {_NOW}|starting {_NOW})"
)
_AGO = (
    r"(?:(?:not|no) (?:longer|more|further|later|earlier) than|less than|fewer than|under|within|up to|at most"
    r"|as recently as|as late as)"
)


@dataclass(frozen=True)
class Time:
    """A window that the words gave, and the tense they imply ("" = that of the verb)."""

    window: Window
    tense: str


@dataclass(frozen=True)
class Period:
    """Some months of a year not yet known: which year depends on the verb's tense."""

    month: int
    months: int
    which: str
    year: int | None = None

    def time(self, day: date, tense: str) -> Time:
        """The latest that has begun for the past, else the first that is not over."""
        if self.year:
            return Time(self._window(self.year), "")
        each = [self._window(day.year + offset) for offset in (-2, -1, 0, 1, 2)]
        if self.which in ("last", "past", "previous"):
            return Time([w for w in each if w.until and w.until <= day][-1], PAST)
        if self.which in ("next", "coming"):
            return Time(next(w for w in each if w.since and w.since > day), FUTURE)
        if tense == PAST:
            return Time([w for w in each if w.since and w.since < day][-1], PAST)
        return Time(next(w for w in each if w.until and w.until > day), "")

    def _window(self, year: int) -> Window:
        last = self.month + self.months
        return Window(since=date(year, self.month, 1), until=date(year + (last > 12), (last - 1) % 12 + 1, 1))


Found = Time | Period | None
Reader = Callable[["re.Match[str]", date], Found]


def patterns() -> tuple[tuple[str, Reader], ...]:
    """Patterns and what they mean, the most telling first."""
    return (
        (rf"(?:between|from|since) (?P<since>{_DATE}) (?:and|to|until|till) (?P<until>{_DATE})", _dated),
        (rf"{_SINCE} (?:the )?(?P<since>{_DATE})(?: onwards?| on| (?:until|till|to) {_NOW})?", _dated),
        (rf"(?:before|until|till|by|up to) (?P<until>{_DATE})", _dated),
        (rf"{_AGO} (?P<n>{NUMBER}|an?|{_FEW}) {_UNIT} (?:ago|back)", _span(PAST)),
        (rf"before (?P<n>{NUMBER}|an?) {_UNIT} (?:have|has) passed", _span(FUTURE)),
        (rf"before the next {_N} {_UNIT} (?:are|is) (?:out|over|up|gone)", _span(FUTURE)),
        (rf"in (?:less than|under|no more than) (?P<n>{NUMBER}|an?) {_UNIT}", _span(FUTURE)),
        (rf"(?:{_IN} )?{_THE}{_N} {_UNIT} {_COME}", _span(FUTURE)),
        (rf"(?:{_IN} )?{_THE}{_N} {_UNIT} {_GONE}", _span(PAST)),
        (rf"(?:{_IN} )?{_THE}{_LAST} (?:{_N} )?{_UNIT}", _span(PAST)),
        (rf"(?:{_IN} )?(?:an? |the )?(?:{_ROLLING} )?{_SPAN} of {_N} {_UNIT}", _span("")),
        (rf"(?:{_IN} )?(?:an? |the )?(?:(?:{_ROLLING}|{_LAST}) )?{_N}[ -]{_UNIT} {_SPAN}", _span("")),
        (rf"(?:{_IN} )?{_THE}{_NEXT} (?:{_N} )?{_UNIT}", _span(FUTURE)),
        (rf"(?:{_IN} )?{_THE}{_N} (?:last|past|previous|most recent|latest) {_UNIT}", _span(PAST)),
        (rf"(?:for|in) (?:more than|over|at least|longer than|a good) {_N} {_UNIT}", _span(PAST)),
        (rf"{_IN} (?P<n>{NUMBER}|an?) {_UNIT}(?! old)", _span("")),
        (rf"(?:so far )?(?:{_IN} )?this {_UNIT}(?: so far| to date)?", _current),
        (rf"(?:{_IN} (?:the )?)?(?P<which>this|next|last|coming|past|previous) {_NAMED}", _period),
        (rf"(?:in|during) (?:the )?{_NAMED}", _period),
        (rf"(?:in|during) (?P<year>{_YEAR})\b", _whole_year),
    )  # fmt: skip


def _span(tense: str) -> Reader:
    def read(match: "re.Match[str]", day: date) -> Found:
        said = match["n"]
        count = FEW.get(said) or (1 if said in (None, "a", "an") else number(said))
        days = round(count * UNIT_DAYS[match["unit"]])
        return Time(Window(within_days=days), tense) if days >= 1 else None

    return read


def _dated(match: "re.Match[str]", day: date) -> Found:
    said = match.groupdict()
    since, until = (_date(said[name]) if said.get(name) else None for name in ("since", "until"))
    if any(said.get(name) and not value for name, value in (("since", since), ("until", until))):
        return None
    if since and until and since >= until:
        return None
    if since and since >= day:
        tense = FUTURE
    else:
        tense = PAST if not until or until <= day else ""
    return Time(Window(since=since, until=until), tense)


def _date(said: str) -> date | None:
    """The first day of what was said; None where the calendar does not hold it."""
    try:
        if re.fullmatch(_YEAR, said):
            return date(int(said), 1, 1)
        if said[0].isdigit() and "-" in said:
            return date.fromisoformat(said)
        *first, month, year = said.split()
        return date(int(year), MONTHS.index(month) + 1, int(first[0]) if first else 1)
    except ValueError:
        return None


def _current(match: "re.Match[str]", day: date) -> Found:
    unit = match["unit"]
    if unit in ("month", "quarter", "year"):
        months = {"month": 1, "quarter": 3, "year": 12}[unit]
        return Period((day.month - 1) // months * months + 1, months, "this")
    days = UNIT_DAYS[unit]
    since = day - timedelta(days=day.weekday() if days >= 7 else 0)
    return Time(Window(since=since, until=since + timedelta(days=days)), "")


def _period(match: "re.Match[str]", day: date) -> Found:
    name, year = match["name"], match["year"]
    month, months = (SEASONS[name], 3) if name in SEASONS else (MONTHS.index(name) + 1, 1)
    return Period(month, months, match.groupdict().get("which") or "this", int(year) if year else None)


def _whole_year(match: "re.Match[str]", day: date) -> Found:
    return Period(1, 12, "this", int(match["year"]))
