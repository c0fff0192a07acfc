"""Filters: typed, allow-listed, one template with parameters; the same users as a loop finds, on a real Milvus Lite."""

import math
import re
import threading
from datetime import date
from functools import cache

import numpy as np
import pytest
from hostile import HOSTILE

from feature_repo.contracts.settings import Settings
from feature_repo.contracts.windows import day_number
from serving.comparisons import expression_of
from serving.errors import DeniedFilter, InvalidFilter, UnknownFilterField
from serving.expressions import Expression, all_of, among, any_of, expression, literal, not_among
from serving.facts import Column, normal_name
from serving.filter_text import read_filter, read_filters
from serving.filters import AnyOf, Filter, filters_of, opposite
from serving.held import all_rows
from serving.index import open_index
from serving.rows import Publication, Row

DAY = date(2024, 6, 1)
AGE = Column("age", "number", "profile", "age")
CITY = Column("city of 'birth'", "category", "profile", "city of 'birth'")
LAST = Column("bills_recency_days", "days", "activity", "bills_recency_days")
FAITH = Column("Religion", "category", "profile", "Religion")
COLUMNS = (AGE, CITY, LAST, FAITH)
NO_TEXTS = np.zeros(0, np.int64), np.zeros(0, np.float32)


def person(at: int) -> dict:
    """Every third age, every fourth city and every fifth purchase is unknown."""
    cities = ("Oslo", "o\"slo' or age > 0", *HOSTILE[:30])
    return {
        "age": float(at % 40) if at % 3 else None,
        CITY.name: cities[at % len(cities)] if at % 4 else None,
        "bills_recency_days": float(1 + at % 50) if at % 5 else None,
        "Religion": "x",
    }


PEOPLE = {f"u{at:03d}": person(at) for at in range(160)}


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    with open_index(Settings(workdir=str(tmp_path_factory.mktemp("filters")))) as index:
        index.create(Publication("users_a", 3, "a", 1, columns=COLUMNS))
        rows = []
        for user, known in PEOPLE.items():
            ago = known["bills_recency_days"]
            last = None if ago is None else day_number(DAY) - ago
            facts = {AGE.stored: known["age"], CITY.stored: known[CITY.name], LAST.stored: last, FAITH.stored: "x"}
            rows.append(Row(user, np.ones(3, np.float32), NO_TEXTS, "2024-06-01", "h", facts, "f"))
        index.upsert("users_a", rows)
        yield index


FILTERS = filters_of(COLUMNS, DAY, ("religion",))


def compiled(*conditions) -> Expression:
    return expression_of(FILTERS.compiled(conditions))


@cache
def in_memory(index):
    return all_rows(index, index.describe("users_a"), megabytes=9, stop=threading.Event())


def found(index, *conditions) -> set[str]:
    """By a search; a count, and the columns in memory, must find the same."""
    condition, ones = compiled(*conditions), np.ones(3, np.float32)
    hits = {hit.user_id for hit in index.search("users_a", ones, 1_000, condition)}
    assert len(hits) == index.count("users_a", condition)
    users, facts = in_memory(index)
    assert hits == {users.names[row] for row in np.flatnonzero(facts.meet(FILTERS.compiled(conditions)))}
    return hits


def by_loop(given) -> set[str]:
    """What the documentation says of a filter, user by user."""
    if isinstance(given, AnyOf):
        return set().union(*map(by_loop, given.any))
    tests = {
        "=": lambda a, b: a == b,
        "!=": lambda a, b: a != b,
        ">": lambda a, b: a > b,
        ">=": lambda a, b: a >= b,
        "<": lambda a, b: a < b,
        "<=": lambda a, b: a <= b,
        "in": lambda a, b: a in b,
        "not in": lambda a, b: a not in b,
        "between": lambda a, b: b[0] <= a <= b[1],
    }
    never = math.inf if given.field == "bills_recency_days" else None
    values = {user: never if known[given.field] is None else known[given.field] for user, known in PEOPLE.items()}
    return {user for user, value in values.items() if value is not None and tests[given.op](value, given.value)}


@pytest.mark.parametrize(
    "given",
    [
        *(Filter("age", op, 20) for op in ("=", "!=", ">", ">=", "<", "<=")),
        *(Filter("age", op, (3, 4.0, 5)) for op in ("in", "not in")),
        Filter("age", "between", (10, 20)),
        *(Filter("bills_recency_days", op, 30) for op in ("=", "!=", ">", ">=", "<", "<=")),
        Filter("bills_recency_days", "between", (10, 20)),
        *(Filter(CITY.name, op, "Oslo") for op in ("=", "!=")),
        *(Filter(CITY.name, op, ("Oslo", PEOPLE["u001"][CITY.name])) for op in ("in", "not in")),
        AnyOf((Filter("age", ">", 35), Filter(CITY.name, "=", "Oslo"))),
    ],
    ids=str,
)
def test_a_filter_finds_whom_a_loop_finds(index, given):
    assert found(index, given) == by_loop(given) != set(PEOPLE)


def test_all_filters_must_hold_and_users_can_be_left_out(index):
    several = (Filter("age", ">", 5), AnyOf((Filter("age", "<", 9), Filter("age", ">", 30))), Filter("age", "!=", 33))
    expected = set.intersection(*map(by_loop, several))
    out = sorted(expected)[:3]

    hits = index.search("users_a", np.ones(3, np.float32), 500, all_of([compiled(*several), not_among(out)]))

    assert found(index, *several) == expected
    assert {hit.user_id for hit in hits} == expected - set(out)


@pytest.mark.parametrize("op", ["=", "!=", ">", ">=", "<", "<=", "in", "not in", "between"])
def test_the_opposite_holds_for_the_other_users_with_a_known_age(index, op):
    given = Filter("age", op, {"in": (3, 4), "not in": (3, 4), "between": (10, 20)}.get(op, 20))
    known = {user for user, person in PEOPLE.items() if person["age"] is not None}

    assert found(index, opposite(given)) == known - found(index, given)


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_no_value_escapes_from_its_filter(index, value):
    """Whoever has exactly this city is found, and nobody else, whatever the value looks like."""
    same = {user for user, person in PEOPLE.items() if person[CITY.name] == value}
    known = Filter("age", ">=", 0)

    assert (
        compiled(Filter(CITY.name, "=", value), known).template == compiled(Filter(CITY.name, "=", "x"), known).template
    )
    assert found(index, Filter(CITY.name, "=", value)) == same
    assert found(index, Filter(CITY.name, "in", (value, value))) == same
    assert index.count("users_a", among([value])) == 0
    for field in (value, f"age > 0 or {value}", f"{AGE.stored}"):
        with pytest.raises(UnknownFilterField, match="this index has no column"):
            FILTERS.compiled([Filter(field, "=", 1)])
    with pytest.raises(InvalidFilter, match="age is a number, found "):
        FILTERS.compiled([Filter("age", "=", value)])
    with pytest.raises(InvalidFilter, match="age: an operator is one of"):
        FILTERS.compiled([Filter("age", f"= 1 or {value}", 1)])


def test_templates_hold_our_words_and_places_alone():
    given = [Filter("age", "between", (1, 2)), Filter(CITY.name, "not in", HOSTILE[:50]), Filter(LAST.name, ">", 9)]

    made = all_of([compiled(*given), not_among(HOSTILE)])

    assert re.fullmatch(
        r"(?:f_[0-9a-f]{16}|user_id|\{v\d\}|is not null|is null|not in|and|or|[<>]=?|[() ])+", made.template
    )
    assert list(made.params) == ["v0", "v1", "v2", "v3", "v4"]
    assert made.params["v2"] == list(HOSTILE[:50]) and made.params["v4"] == list(HOSTILE)


def test_parts_keep_their_values_when_they_are_joined():
    one, two = expression("a in {v0} and b == {v1}", ["{v1}"], "{v0}"), expression("c > {v0}", 5)

    joined = any_of([all_of([one, two]), two, expression("")])

    assert joined.template == "((a in {v0} and b == {v1}) and (c > {v2})) or (c > {v3})"
    assert joined.bound() == '((a in ["{v1}"] and b == "{v0}") and (c > 5)) or (c > 5)'
    assert literal('a"b\\\n') == '"a\\"b\\\\\\n"'


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        (Filter("Religion", "=", "x"), DeniedFilter, "the column 'Religion' may not be filtered by"),
        (Filter("RELIGION ", "=", "x"), DeniedFilter, "may not be filtered by"),
        (
            Filter("wage", "=", 1),
            UnknownFilterField,
            "no column 'wage'; it has age, city of 'birth', bills_recency_days.",
        ),
        (Filter("age", "=", True), InvalidFilter, "age is a number, found True"),
        (Filter("age", "=", math.inf), InvalidFilter, "age is a number, found inf"),
        (Filter("age", "=", (1,)), InvalidFilter, "age: = takes one value, found "),
        (Filter("age", "in", 1), InvalidFilter, "age: in takes a list of values, found 1"),
        (Filter("age", "in", ()), InvalidFilter, "a list has 1 to 1000 values, found 0"),
        (Filter("age", "between", (1, 2, 3)), InvalidFilter, "between takes two values, found 3"),
        (Filter(CITY.name, ">", "a"), InvalidFilter, "is a category: compare it by =, !=, in or not in, not by >"),
        (Filter(CITY.name, "=", 5), InvalidFilter, 'found the number 5: write it in quotes, as in "5"'),
        (Filter(CITY.name, "=", "x" * 257), InvalidFilter, "a category has at most 256 bytes, found 257"),
        (Filter(CITY.name, "=", "\ud800"), InvalidFilter, "the value is no text"),
        (Filter("bills_recency_days", "in", (1,)), InvalidFilter, "counts days: compare it by"),
        (AnyOf(()), InvalidFilter, "`any` must list at least one filter"),
    ],
)
def test_what_cannot_be_asked_is_named(given, error, told):
    with pytest.raises(error) as caught:
        FILTERS.compiled([given])
    assert told in str(caught.value)


def test_too_many_filters_are_refused():
    with pytest.raises(InvalidFilter, match="at most 64 filters, found 65"):
        FILTERS.compiled([Filter("age", "=", 1)] * 65)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("age > 30", Filter("age", ">", 30)),
        ("age>=30.5", Filter("age", ">=", 30.5)),
        ("age == 3", Filter("age", "=", 3)),
        ("home city = New York", Filter("home city", "=", "New York")),
        ('tier != "1"', Filter("tier", "!=", "1")),
        ("consent = true", Filter("consent", "=", True)),
        ("country in Trinidad and Tobago, Norway", Filter("country", "in", ["Trinidad and Tobago", "Norway"])),
        ('age not  in [1, "b"]', Filter("age", "not in", [1, "b"])),
        ("age between 20 and 30", Filter("age", "between", [20, 30])),
        ("age between 20, 30", Filter("age", "between", [20, 30])),
    ],
)
def test_a_filter_is_read_as_people_write_it(text, expected):
    assert read_filter(text) == expected


def test_filters_of_a_setting_stand_between_semicolons_or_lines():
    assert read_filters(" consent = true;\n age > 3 ;") == (Filter("consent", "=", True), Filter("age", ">", 3))
    assert read_filters(" ; ") == ()


@pytest.mark.parametrize("text", ["age", "> 30", "age >", "age = null", "age in {}", ""])
def test_a_text_that_is_no_filter_is_refused(text):
    with pytest.raises(InvalidFilter):
        read_filter(text)


def test_names_are_denied_whatever_their_case_and_signs():
    assert {normal_name(n) for n in ("Sexual Orientation", "sexual_orientation", " SEXUAL-orientation ")} == {
        "sexual_orientation"
    }
