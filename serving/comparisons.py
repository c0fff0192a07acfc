"""Comparisons of an index's columns with values, which two engines check: Milvus by an expression, memory by arrays
(serving/held_facts.py)."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from serving.expressions import Expression, all_of, any_of, expression

EQUALS, DIFFERS = "==", "!="
AMONG, NOT_AMONG = "in", "not in"
BETWEEN = "between"


@dataclass(frozen=True)
class Comparison:
    """`stored sign value`; in, not in and between take lists. An unknown value is compared with nothing: it meets the
    comparison or not as `is_met_by_unknown` says."""

    stored: str
    """The index's field (serving.facts.Column)."""
    sign: str
    """==, !=, <, <=, >, >=, in, not in or between, both ends included."""
    value: Any
    is_met_by_unknown: bool = False

    @property
    def expression(self) -> Expression:
        """As Milvus checks it: where a value is null, it would hold for no sign but these two."""
        if self.sign == BETWEEN:
            return expression(f"{self.stored} >= {{v0}} and {self.stored} <= {{v1}}", *self.value)
        said = f"{self.stored} {self.sign} {{v0}}"
        if self.is_met_by_unknown:
            said = f"({said} or {self.stored} is null)"
        elif self.sign in (DIFFERS, NOT_AMONG):
            said = f"{self.stored} is not null and {said}"
        return expression(said, list(self.value) if self.sign in (AMONG, NOT_AMONG) else self.value)


Clause = tuple[Comparison, ...]
"""One of these is enough."""


def expression_of(clauses: Iterable[Clause]) -> Expression:
    """Holds where every clause does."""
    return all_of(any_of(comparison.expression for comparison in clause) for clause in clauses)
