"""A rewritten demand: sentences in the lake's own template form, typed conditions, and what was not understood.

It is shown, edited and submitted again, so `to_dict` gives plain JSON values, fields at their default left out, and
`from_dict` refuses whatever `to_dict` could not have written.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import date
from typing import Any, ClassVar

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.events import EVENT_SOURCES
from model.rewriting.checks import must, must_be_list, must_be_number, must_be_object, must_be_one_of, must_be_text

ANY = ""
"""The source of a condition that any event may meet."""
PAST, FUTURE = "past", "future"
AND, OR = "and", "or"
BETWEEN = "between"
OPERATORS = (">", ">=", "<", "<=", "=", BETWEEN)


@dataclass(frozen=True)
class Comparison:
    """`op value`; between holds from `value` to `upper`, both included."""

    op: str
    value: float
    upper: float | None = None

    def __post_init__(self) -> None:
        must_be_one_of("op", self.op, OPERATORS)
        must_be_number("value", self.value)
        if self.op == BETWEEN:
            must_be_number("upper", self.upper)
            must(float(self.upper or 0) >= self.value, "upper", f"at least the value {self.value}", self.upper)
        else:
            must(self.upper is None, "upper", "left out unless op is 'between'", self.upper)


@dataclass(frozen=True)
class Amount(Comparison):
    """Money in a currency; the lake's own where none was said."""

    currency: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        must_be_text("currency", self.currency)


@dataclass(frozen=True)
class Window:
    """A stretch of time seen from the cut-off: `within_days` before or after it, or the days [since, until)."""

    within_days: int | None = None
    since: date | None = None
    until: date | None = None

    def __post_init__(self) -> None:
        days = self.within_days
        if days is not None:
            whole = isinstance(days, int) and not isinstance(days, bool) and days >= 1
            must(whole, "within_days", "a whole number from 1", days)
        for name in ("since", "until"):
            must(isinstance(getattr(self, name), date | None), name, "a date", getattr(self, name))
        dated = self.since is not None or self.until is not None
        must((days is not None) != dated, "a window", "either within_days or dates", self)
        if self.since and self.until:
            must(self.since < self.until, "until", f"a day after since, {self.since}", self.until.isoformat())


@dataclass(frozen=True)
class Behaviour:
    """What users do, did, or (negated) do not: events of a source about a topic; an empty topic is anything.

    A past condition is about the history and can be looked up; a future one is to be predicted.
    """

    kind: ClassVar[str] = "behaviour"

    source: str = ANY
    topic: str = ""
    tense: str = FUTURE
    negated: bool = False
    window: Window | None = None
    count: Comparison | None = None
    amount: Amount | None = None
    channel: str = ""
    joined: str = AND

    def __post_init__(self) -> None:
        must_be_one_of("source", self.source, (ANY, *EVENT_SOURCES))
        must_be_one_of("tense", self.tense, (PAST, FUTURE))
        must_be_one_of("joined", self.joined, (AND, OR))
        must(isinstance(self.negated, bool), "negated", "true or false", self.negated)
        must_be_text("topic", self.topic)
        must_be_text("channel", self.channel)
        for name, kind in (("window", Window), ("count", Comparison), ("amount", Amount)):
            must(isinstance(getattr(self, name), kind | None), name, f"a {name} or left out", getattr(self, name))


@dataclass(frozen=True)
class Profile:
    """What a profile column says: a category's `value`, or a number that meets `comparison`."""

    kind: ClassVar[str] = "profile"

    column: str
    value: str = ""
    comparison: Comparison | None = None
    negated: bool = False
    joined: str = AND

    def __post_init__(self) -> None:
        must_be_text("column", self.column)
        must_be_text("value", self.value)
        must_be_one_of("joined", self.joined, (AND, OR))
        must(isinstance(self.negated, bool), "negated", "true or false", self.negated)
        compared = isinstance(self.comparison, Comparison | None)
        must(compared, "comparison", "a comparison or left out", self.comparison)
        must(bool(self.column), "column", "the name of a profile column", self.column)
        must(bool(self.value) != bool(self.comparison), "a profile condition", "either a value or a comparison", self)


Condition = Behaviour | Profile


@dataclass(frozen=True)
class Sentence:
    """A text of the lake and its cosine to what was asked; 1.0 where a rule of the templates gave it.

    `condition` counts the condition it stands for from 0; `negated`: the audience must not do this.
    """

    text: str
    similarity: float
    condition: int = 0
    negated: bool = False

    def __post_init__(self) -> None:
        must_be_text("text", self.text)
        must_be_number("similarity", self.similarity)
        whole = isinstance(self.condition, int) and not isinstance(self.condition, bool)
        must(whole, "condition", "the number of a condition", self.condition)
        must(isinstance(self.negated, bool), "negated", "true or false", self.negated)


@dataclass(frozen=True)
class Rewritten:
    """A demand, understood. `rest` was not; `reason` says why something is missing or another way was taken."""

    demand: str
    sentences: tuple[Sentence, ...] = ()
    conditions: tuple[Condition, ...] = ()
    rest: str = ""
    reason: str = ""

    def __post_init__(self) -> None:
        for name in ("demand", "rest", "reason"):
            must_be_text(name, getattr(self, name))
        if self.conditions:
            must(self.conditions[0].joined == AND, "joined", "'and' in the first condition", self.conditions[0].joined)
        for sentence in self.sentences:
            known = 0 <= sentence.condition < len(self.conditions)
            must(known, "condition", f"one of {len(self.conditions)} conditions", sentence.condition)

    @property
    def groups(self) -> tuple[tuple[Condition, ...], ...]:
        """All groups must hold; of a group's conditions one is enough: those joined by "or" to the one before."""
        found: list[list[Condition]] = []
        for condition in self.conditions:
            if condition.joined == OR:
                found[-1].append(condition)
            else:
                found.append([condition])
        return tuple(map(tuple, found))

    def to_dict(self) -> dict[str, Any]:
        """JSON values: dates in ISO form, each condition with its kind."""
        return dict(_plain(self))

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Rewritten":
        """The rewritten demand that `to_dict` wrote. Raises FoundError naming the first thing that is wrong."""
        given = dict(must_be_object("the whole", document))
        sentences = must_be_list("sentences", given.get("sentences", []))
        conditions = must_be_list("conditions", given.get("conditions", []))
        given["sentences"] = tuple(_read(Sentence, each) for each in sentences)
        given["conditions"] = tuple(_condition(each) for each in conditions)
        return cls(**_known(cls, given))


_KINDS: dict[str, type[Behaviour] | type[Profile]] = {kind.kind: kind for kind in (Behaviour, Profile)}
_PARTS: dict[str, type[Any]] = {"window": Window, "count": Comparison, "amount": Amount, "comparison": Comparison}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, date):
        return value.isoformat()
    if not hasattr(value, "__dataclass_fields__"):
        return value
    kept = {f.name: _plain(v) for f in fields(value) if (v := getattr(value, f.name)) != f.default}
    return {"kind": value.kind, **kept} if isinstance(value, Condition) else kept


def _condition(document: Any) -> Condition:
    given = dict(must_be_object("a condition", document))
    kind = given.pop("kind", None)
    must_be_one_of("kind", kind, tuple(_KINDS))
    return _read(_KINDS[kind], given)


def _read(kind: type[Any], document: Any) -> Any:
    given = _known(kind, must_be_object(f"a {kind.__name__.lower()}", document))
    for name, value in given.items():
        if name in _PARTS and value is not None:
            given[name] = _read(_PARTS[name], value)
        elif name in ("since", "until") and value is not None:
            given[name] = _date(name, value)
    return kind(**given)


def _known(kind: type[Any], document: Mapping[str, Any]) -> dict[str, Any]:
    name = "the whole" if kind is Rewritten else f"a {kind.__name__.lower()}"
    known = [f.name for f in fields(kind)]
    must(set(document) <= set(known), name, f"an object of {known}", sorted(map(str, document)))
    needed = {f.name for f in fields(kind) if f.default is MISSING}
    must(needed <= set(document), name, f"given with {sorted(needed)}", sorted(document))
    return dict(document)


def _date(name: str, value: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise FoundError(f"{name} in a rewritten demand must be a date like 2024-01-31, found {value!r}.") from None
