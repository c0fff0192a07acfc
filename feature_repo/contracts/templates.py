"""Templates are data (paper, section 4.1): five types, versioned, rendered by two interpreters.

The Python interpreter is here; `spark_jobs/rendering.py` renders the same data as column expressions.
Every event has one *text* (what the encoder reads, amounts left out so that few texts are distinct). A
future has *sentences* (the texts of its events and the summaries below: what a demand is matched against)
and one *description* per type (the paper's aggregated form, for people and for the paper recipe).
"""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

TEMPLATE_VERSION = 1

FIELD_CHARACTERS = 80
"""A field is cut here, so that one pasted novel cannot fill a text."""
DESCRIPTION_ITEMS = 8
"""A description names this many items, the most frequent first."""
NOTHING = "The user did nothing"
"""The text of an empty future."""

UNPRINTABLE = "[\\x00-\\x20\\x7f]+"
"""Runs of ASCII controls and spaces: each becomes one space, in both interpreters."""

LEVELS = tuple(digit * 10**power for power in range(9) for digit in (1, 2, 5))
"""Amounts are rounded down to 1-2-5 steps."""
AMOUNT_UNITS = 10_000
"""Amounts are added up in ten-thousandths of the lake's currency."""


@dataclass(frozen=True)
class Part:
    """`prefix + field + suffix`, left out where the field is empty or one of `silent`."""

    field: str
    prefix: str = ""
    suffix: str = ""
    silent: tuple[str, ...] = ()


@dataclass(frozen=True)
class Template:
    """One description type. An event's text is its parts; a description is lead, items, amount, status."""

    kind: str
    source: str
    parts: tuple[Part, ...]
    lead: str
    summary: str
    amount: str = ""
    status: str = ""


PURCHASE = Template(
    kind="purchase",
    source="bills",
    parts=(
        Part("item"),
        Part("category", prefix=", "),
        Part("merchant", prefix=" at "),
        Part("status", prefix=", ", silent=("successful",)),
    ),
    lead="The user purchased ",
    summary="The user made a purchase",
    amount=" amounting to more than {amount}",
    status=" with {status} payment",
)
BROWSE = Template(
    kind="browse",
    source="visits",
    parts=(
        Part("title"),
        Part("description", prefix=", "),
        Part("app", prefix=" in "),
        Part("action", prefix=", "),
    ),
    lead="The user browsed ",
    summary="The user browsed something",
)
SEARCH = Template(
    kind="search",
    source="searches",
    parts=(Part("query"),),
    lead="The user searched for ",
    summary="The user searched for something",
)
CLICK = Template(
    kind="click",
    source="clicks",
    parts=(Part("page"), Part("element", prefix=", ")),
    lead="The user clicked ",
    summary="The user clicked on a page",
)
PAYMENT = Template(
    kind="payment",
    source="bills",
    parts=(Part("channel"),),
    lead="The user paid by ",
    summary="",
)

TEMPLATES = (PURCHASE, BROWSE, SEARCH, CLICK, PAYMENT)
EVENT_TEMPLATES = {t.source: t for t in TEMPLATES if t is not PAYMENT}
"""The template whose parts give an event of a source its text."""

SPENT_SUMMARY = "The user spent more than {amount} in total"
STATUS_SUMMARY = "The user had a {status} payment"


def clean(value: object) -> str:
    """A field as a text shows it: one line, no controls, at most FIELD_CHARACTERS."""
    return "" if value is None else re.sub(UNPRINTABLE, " ", str(value))[:FIELD_CHARACTERS].strip(" ")


def event_text(template: Template, event: Mapping[str, object]) -> str:
    """The text of one event; empty where all its fields are."""
    shown = ((part, clean(event.get(part.field))) for part in template.parts)
    return "".join(p.prefix + value + p.suffix for p, value in shown if value and value not in p.silent)


def text_key(text: str) -> int:
    """The id of a text everywhere: 60 bits of its MD5, the same in Spark and Python; 0 is padding."""
    return int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()[:15], 16)


def level(amount: float) -> int:
    """The largest 1-2-5 step at or below `amount`; 0 below the smallest."""
    return max((step for step in LEVELS if step <= amount), default=0)


def total(amounts: Iterable[object]) -> float:
    """The sum of those that are finite numbers, in whole 1/AMOUNT_UNITS, so that no order of addition changes it."""
    numbers = (a for a in amounts if isinstance(a, int | float) and math.isfinite(a))
    return sum(round(a * float(AMOUNT_UNITS)) for a in numbers) / AMOUNT_UNITS


def money(amount: int, currency: str) -> str:
    return f"{amount} {currency}".strip()


def summaries(events: Iterable[tuple[str, Mapping[str, object]]], currency: str) -> tuple[str, ...]:
    """The sentences that are true of a whole future, sorted; `events` are (source, event) pairs.

    One per source that occurs, one per bill status but 'successful', one per 1-2-5 step that the
    successful spend exceeds; NOTHING for an empty future.
    """
    sentences: set[str] = set()
    paid: list[object] = []
    for source, event in events:
        sentences.add(EVENT_TEMPLATES[source].summary)
        if source != PURCHASE.source:
            continue
        status = clean(event.get("status"))
        if status and status != "successful":
            sentences.add(STATUS_SUMMARY.format(status=status))
        else:
            paid.append(event.get("amount"))
    spent = total(paid)
    sentences.update(SPENT_SUMMARY.format(amount=money(step, currency)) for step in LEVELS if step <= spent)
    return tuple(sorted(sentences)) or (NOTHING,)


def descriptions(events: Iterable[tuple[str, Mapping[str, object]]], currency: str) -> dict[str, str]:
    """The five descriptions of a future by kind, '' where nothing of the kind happens.

    Purchases are grouped by status, statuses in alphabetical order; items by count, then by text.
    """
    listed = list(events)
    return {t.kind: _description(t, [e for s, e in listed if s == t.source], currency) for t in TEMPLATES}


def _description(template: Template, events: list[Mapping[str, object]], currency: str) -> str:
    by_status: dict[str, list[Mapping[str, object]]] = {}
    for event in events:
        by_status.setdefault(clean(event.get("status")) if template.status else "", []).append(event)
    return " ".join(filter(None, (_sentence(template, s, by_status[s], currency) for s in sorted(by_status))))


def _sentence(template: Template, status: str, events: list[Mapping[str, object]], currency: str) -> str:
    counts = Counter(clean(event.get(template.parts[0].field)) for event in events)
    counts.pop("", None)
    items = sorted(counts, key=lambda item: (-counts[item], item))[:DESCRIPTION_ITEMS]
    if not items:
        return ""
    step = level(total(e.get("amount") for e in events)) if template.amount else 0
    amount = template.amount.format(amount=money(step, currency)) if step else ""
    paid = template.status.format(status=status) if status else ""
    return template.lead + ", ".join(items) + amount + paid + "."
