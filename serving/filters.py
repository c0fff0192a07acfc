"""Filters: typed conditions on the columns that an index has, compiled to comparisons with its fields.

A user whose value is unknown meets no condition on it, neither `country = France` nor `country != France`. Ages of
events (`bills_recency_days`) are never unknown: what never happened is longer ago than any number of days.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from feature_repo.contracts.windows import day_number
from serving.comparisons import AMONG, BETWEEN, DIFFERS, EQUALS, NOT_AMONG, Clause, Comparison
from serving.errors import DeniedFilter, InvalidFilter, UnknownFilterField
from serving.facts import LONGEST_VALUE, Column, normal_name

Scalar = str | bool | int | float
ORDERS = (">", ">=", "<", "<=")
LISTS = (AMONG, NOT_AMONG)
OPERATORS = ("=", DIFFERS, *ORDERS, *LISTS, BETWEEN)
MOST_VALUES = 1_000
MOST_FILTERS = 64

_OPPOSITE = {"=": "!=", "!=": "=", ">": "<=", "<=": ">", "<": ">=", ">=": "<", "in": "not in", "not in": "in"}


@dataclass(frozen=True)
class Filter:
    """`field op value`; `in` and `not in` take a list, `between` the two ends, both included."""

    field: str
    op: str
    value: Scalar | Sequence[Scalar]

    def __str__(self) -> str:
        return f"{self.field} {self.op} {_shown(self.value)}"


@dataclass(frozen=True)
class AnyOf:
    """One of these is enough."""

    any: tuple[Filter, ...]

    def __str__(self) -> str:
        return " or ".join(map(str, self.any))


Condition = Filter | AnyOf


def opposite(given: Filter) -> Condition:
    """What holds for every user with a known value for whom the filter does not."""
    if given.op != BETWEEN:
        return Filter(given.field, _OPPOSITE[given.op], given.value)
    low, high = _ends(given)
    return AnyOf((Filter(given.field, "<", low), Filter(given.field, ">", high)))


@dataclass(frozen=True)
class Filters:
    """The columns of a collection as of its day. Denied columns are refused by name, others that it lacks too."""

    columns: Mapping[str, Column]
    day: date
    denied: frozenset[str] = frozenset()
    """As `normal_name` writes them."""

    def compiled(self, conditions: Iterable[Condition]) -> tuple[Clause, ...]:
        """Met by the users who meet all conditions. Raises a ServingError naming the first that cannot be asked."""
        listed = list(conditions)
        if len(listed) > MOST_FILTERS:
            raise InvalidFilter(f"an audience takes at most {MOST_FILTERS} filters, found {len(listed)}.")
        return tuple(self._clause(each) for each in listed)

    def knows(self, field: str) -> bool:
        """May this be filtered by?"""
        return field in self.columns and not self._denies(field)

    def _denies(self, field: str) -> bool:
        column = self.columns.get(field)
        return bool({normal_name(field), normal_name(column.source if column else "")} & self.denied)

    def _clause(self, given: Condition) -> Clause:
        if isinstance(given, Filter):
            return (self._comparison(given),)
        if not given.any:
            raise InvalidFilter("`any` must list at least one filter, found none.")
        return tuple(self._comparison(each) for each in given.any)

    def _comparison(self, given: Filter) -> Comparison:
        if self._denies(given.field):
            raise DeniedFilter(f"the column {given.field!r} may not be filtered by.")
        if given.field not in self.columns:
            raise UnknownFilterField(f"this index has no column {given.field!r}; it has {self._names()}.")
        if given.op not in OPERATORS:
            raise InvalidFilter(f"{given.field}: an operator is one of {', '.join(OPERATORS)}, found {given.op!r}.")
        column = self.columns[given.field]
        if column.kind == "days":
            return self._age(given, column.stored)
        if column.kind == "category" and (given.op in ORDERS or given.op == BETWEEN):
            raise InvalidFilter(f"{given.field} is a category: compare it by =, !=, in or not in, not by {given.op}.")
        values = [_typed(given.field, column, each) for each in _values(given)]
        sign = EQUALS if given.op == "=" else given.op
        return Comparison(column.stored, sign, tuple(values) if given.op in (*LISTS, BETWEEN) else values[0])

    def _age(self, given: Filter, stored: str) -> Comparison:
        """Days since an event: d days ago is the day `ds - d`, a longer time an earlier day, or never."""
        if given.op in LISTS:
            raise InvalidFilter(f"{given.field} counts days: compare it by =, !=, >, >=, <, <= or between.")
        today = float(day_number(self.day))
        on = [today - _number(given.field, each) for each in _values(given)]
        if given.op == BETWEEN:
            return Comparison(stored, BETWEEN, tuple(reversed(on)))
        turned = {">": "<", ">=": "<=", "<": ">", "<=": ">=", "=": EQUALS, "!=": DIFFERS}[given.op]
        return Comparison(stored, turned, on[0], is_met_by_unknown=given.op in (">", ">=", "!="))

    def _names(self) -> str:
        names = [name for name in self.columns if not self._denies(name)]
        return ", ".join(names) if names else "none to filter by"


def filters_of(columns: Iterable[Column], day: date, denied: Collection[str]) -> Filters:
    return Filters({column.name: column for column in columns}, day, frozenset(map(normal_name, denied)))


def _values(given: Filter) -> list[Scalar]:
    """One value, two for between, any number for lists."""
    listed = isinstance(given.value, Sequence) and not isinstance(given.value, str)
    if listed != (given.op in (*LISTS, BETWEEN)):
        wanted = "a list of values" if given.op in LISTS else "two values" if given.op == BETWEEN else "one value"
        raise InvalidFilter(f"{given.field}: {given.op} takes {wanted}, found {_shown(given.value)}.")
    values = list(given.value) if isinstance(given.value, Sequence) and listed else [given.value]
    if given.op == BETWEEN and len(values) != 2:
        raise InvalidFilter(f"{given.field}: between takes two values, found {len(values)}.")
    if not 1 <= len(values) <= MOST_VALUES:
        raise InvalidFilter(f"{given.field}: a list has 1 to {MOST_VALUES} values, found {len(values)}.")
    return values  # type: ignore[return-value]


def _ends(given: Filter) -> tuple[Scalar, Scalar]:
    low, high = _values(given)
    return low, high


def _typed(field: str, column: Column, value: Scalar) -> float | str:
    return _number(field, value) if column.kind == "number" else _category(field, value)


def _number(field: str, value: Scalar) -> float:
    if isinstance(value, str | bool) or not math.isfinite(value):
        raise InvalidFilter(f"{field} is a number, found {_shown(value)}.")
    return float(value)


def _category(field: str, value: Scalar) -> str:
    """Yes-or-no columns are the categories true and false."""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        raise InvalidFilter(f'{field} is a category, found the number {value}: write it in quotes, as in "{value}".')
    try:
        size = len(value.encode())
    except UnicodeEncodeError as error:
        raise InvalidFilter(f"{field}: the value is no text: {error.reason}.") from error
    if size > LONGEST_VALUE:
        raise InvalidFilter(f"{field}: a category has at most {LONGEST_VALUE} bytes, found {size}.")
    return value


def _shown(value: object) -> str:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(map(_shown, value)) + "]"
    return repr(value)
