"""Milvus filters as templates with parameters: no value of a request is ever part of an expression's text.

A template consists of our own words, of field names that this project made, and of `{v0}`, `{v1}` ... for values. A
Milvus server binds the values itself (`filter_params`). Servers before 2.5 and Milvus Lite know no templates, so there
`bound` writes each value as one literal of Milvus' grammar, in one pass over the template: what was written is never
read again.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

Value = str | int | float | Sequence[str] | Sequence[int] | Sequence[float]

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
"""All that a string literal of Milvus may not hold as it is."""
_PLACE = re.compile(r"\{v(\d+)\}")


@dataclass(frozen=True)
class Expression:
    """A condition on rows; the empty one holds for every row."""

    template: str = ""
    params: Mapping[str, Value] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.template)

    def bound(self) -> str:
        """The expression with its values as literals, for an engine without templates."""
        return _PLACE.sub(lambda match: literal(self.params[f"v{match[1]}"]), self.template)


EVERYBODY = Expression()


def expression(template: str, *values: Value) -> Expression:
    """`{v0}`, `{v1}` ... in the template stand for the values in their order."""
    return Expression(template, {f"v{place}": value for place, value in enumerate(values)})


def all_of(parts: Iterable[Expression]) -> Expression:
    return _joined(" and ", parts)


def any_of(parts: Iterable[Expression]) -> Expression:
    """Holds where one part does; without parts the empty expression."""
    return _joined(" or ", parts)


def among(user_ids: Sequence[str]) -> Expression:
    """The rows of these users."""
    return expression("user_id in {v0}", list(user_ids))


def not_among(user_ids: Sequence[str]) -> Expression:
    """The rows of all other users; the empty expression where there are none to leave out."""
    return expression("user_id not in {v0}", list(user_ids)) if user_ids else Expression()


def literal(value: Value) -> str:
    """A value in Milvus' grammar."""
    if isinstance(value, str):
        return f'"{value.translate(_ESCAPES)}"'
    if isinstance(value, int | float):
        return repr(value)
    return "[" + ", ".join(literal(each) for each in value) + "]"


def _joined(joint: str, parts: Iterable[Expression]) -> Expression:
    """The parts that say something, each in brackets, their values numbered anew."""
    said = [part for part in parts if part]
    if len(said) <= 1:
        return said[0] if said else Expression()
    params: dict[str, Value] = {}
    templates: list[str] = []
    for part in said:
        moved = {name: f"v{len(params) + place}" for place, name in enumerate(part.params)}
        params |= {moved[name]: value for name, value in part.params.items()}
        templates.append(f"({_renamed(part.template, moved)})")
    return Expression(joint.join(templates), params)


def _renamed(template: str, names: Mapping[str, str]) -> str:
    return _PLACE.sub(lambda match: "{" + names[f"v{match[1]}"] + "}", template)
