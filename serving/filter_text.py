"""Filters as people write them: `age > 30`, `country in France, Norway`, `tier = "1"`, `age between 20, 30`."""

import json
import re
from collections.abc import Iterable
from typing import Any

from serving.comparisons import BETWEEN
from serving.errors import InvalidFilter
from serving.filters import LISTS, OPERATORS, Filter, Scalar

_WORDS = "|".join(rf"\s(?:{op.replace(' ', chr(92) + 's+')})\s" for op in (*LISTS, BETWEEN))
_FILTER = re.compile(rf"\s*(?P<field>[^=<>!]+?)\s*(?P<op>>=|<=|!=|==|=|>|<|{_WORDS})\s*(?P<value>\S.*?)\s*", re.DOTALL)


def read_filter(text: str) -> Filter:
    """One filter. A value that reads as JSON (30, "30", true) is that; any other is a text."""
    match = _FILTER.fullmatch(text)
    if match is None:
        raise InvalidFilter(
            f"a filter is written as `field operator value`, the operator one of {', '.join(OPERATORS)}; "
            f"found {text!r}."
        )
    op = " ".join(match["op"].split()).replace("==", "=")
    field = match["field"].strip()
    value = match["value"]
    return Filter(field, op, _listed(value, op) if op in (*LISTS, BETWEEN) else _plain(field, _loaded(value)))


def read_filters(text: str) -> tuple[Filter, ...]:
    """Filters between semicolons or lines; none of an empty text."""
    return tuple(read_filter(each) for each in re.split(r"[;\n]", text) if each.strip())


def as_json(filters: Iterable[Filter]) -> list[dict[str, Any]]:
    return [{"field": each.field, "op": each.op, "value": each.value} for each in filters]


def _listed(text: str, op: str) -> list[Scalar]:
    """`[1, 2]`, or values between commas; the two ends of between may have the word and between them."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    parts = (
        found
        if isinstance(found, list)
        else [_loaded(part.strip()) for part in re.split(r",|\band\b" if op == BETWEEN else ",", text)]
    )
    return [_plain(text, each) for each in parts]


def _loaded(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _plain(where: str, value: Any) -> Scalar:
    if not isinstance(value, str | bool | int | float):
        raise InvalidFilter(f"{where}: a value is a text, a number, true or false, found {json.dumps(value)}.")
    return value
