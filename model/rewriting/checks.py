"""What a rewritten demand refuses: one sentence for each wrong value, naming it."""

from collections.abc import Mapping
from typing import Any

from feature_repo.contracts.errors import FoundError

LARGEST = 1e15


def must_be_object(name: str, value: Any) -> Mapping[str, Any]:
    must(isinstance(value, Mapping), name, "an object", value)
    return dict(value)


def must_be_list(name: str, value: Any) -> list[Any]:
    must(isinstance(value, list), name, "a list", value)
    return list(value)


def must_be_text(name: str, value: Any) -> None:
    must(isinstance(value, str), name, "text", value)


def must_be_number(name: str, value: Any) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and -LARGEST <= value <= LARGEST
    must(number, name, f"a number between -{LARGEST:g} and {LARGEST:g}", value)


def must_be_one_of(name: str, value: Any, allowed: tuple[str, ...]) -> None:
    must(isinstance(value, str) and value in allowed, name, f"one of {list(allowed)}", value)


def must(right: bool, name: str, expected: str, found: object) -> None:
    if not right:
        raise FoundError(f"{name} in a rewritten demand must be {expected}, found {found!r}.")
