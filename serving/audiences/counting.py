"""What counts as having done it: the texts whose occurrence in the window fulfils a demand.

The rule behind anybody's labels is unknown here, so the definition is the demand's own reading, fixed when the audience
is made and stored with it. A demand is rewritten (docs/rewriting.md); of its conditions those about the future count:

  groups: all must hold; of a group's clauses one is enough; of a clause's needs all must hold;
  a need holds when ANY of its texts happened (negated: when none did).

A topic's texts are ALL texts of the lake that are near to it, by retrieval's own thresholds; texts that the lake gets
later do not count. Past and profile conditions say who is asked for, not what is done; how often and when within the
window are not looked at. A caller may state the texts instead.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from feature_repo.contracts.templates import EVENT_TEMPLATES, NOTHING, PAYMENT, SPENT_SUMMARY, STATUS_SUMMARY, text_key

STATED, REWRITTEN, NOT_KNOWN = "stated", "rewritten", "unknown"
_TEMPLATES = (PAYMENT.lead, *(text.split("{")[0] for text in (SPENT_SUMMARY, STATUS_SUMMARY)))
_SUMMARIES = frozenset([NOTHING, *(template.summary for template in EVENT_TEMPLATES.values())])


@dataclass(frozen=True)
class Need:
    """Any of these texts happens; negated: none does."""

    texts: tuple[str, ...]
    negated: bool = False


@dataclass(frozen=True)
class Clause:
    """One condition; all of its needs must hold. `said` is the condition for people."""

    said: str
    needs: tuple[Need, ...]


@dataclass(frozen=True)
class Counting:
    """What counts, and where it comes from. Without groups nothing can be counted, and `reason` says why."""

    method: str
    groups: tuple[tuple[Clause, ...], ...] = ()
    reason: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> "Counting":
        groups = tuple(tuple(_clause(clause) for clause in group) for group in document["groups"])
        return cls(document["method"], groups, document["reason"])

    @property
    def keys(self) -> frozenset[int]:
        """The keys of all texts that matter."""
        return frozenset(text_key(text) for need in self._needs() for text in need.texts)

    def happened(self, keys: Collection[int]) -> bool:
        """Whether a user did it, by the keys of the texts that happened to this user."""
        if not self.groups:
            raise ValueError(f"nothing counts: {self.reason}")
        return all(any(all(_holds(need, keys) for need in clause.needs) for clause in group) for group in self.groups)

    def _needs(self) -> Iterable[Need]:
        return (need for group in self.groups for clause in group for need in clause.needs)


class Meaning(Protocol):
    """Reads demands; see serving.audiences.rewritten.RewrittenMeaning."""

    def of(self, demand: str, ds: str) -> Counting: ...


def stated(texts: Sequence[str]) -> Counting:
    """The caller says which texts count."""
    return Counting(STATED, ((Clause("any of the stated texts", (Need(tuple(dict.fromkeys(texts))),)),),))


def unknown(reason: str) -> Counting:
    return Counting(NOT_KNOWN, reason=reason)


def is_summary(text: str) -> bool:
    """Whether a text is one of the templates' sentences about a whole future."""
    return text in _SUMMARIES or text.startswith(_TEMPLATES)


def _holds(need: Need, keys: Collection[int]) -> bool:
    return any(text_key(text) in keys for text in need.texts) != need.negated


def _clause(document: Mapping[str, Any]) -> Clause:
    needs = tuple(Need(tuple(need["texts"]), need["negated"]) for need in document["needs"])
    return Clause(document["said"], needs)
