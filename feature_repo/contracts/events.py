"""The schema of a lake's tables: one definition, rendered to Spark, Arrow, Feast and torch elsewhere."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["string", "double", "timestamp"]


@dataclass(frozen=True)
class Field:
    """One column of a lake table. An optional column may be missing or null."""

    name: str
    kind: Kind = "string"
    required: bool = False
    unit: str = ""


_EVERY_EVENT = (
    Field("user_id", required=True),
    Field("event_time", "timestamp", required=True, unit="UTC"),
    Field("arrival_time", "timestamp", unit="UTC"),
    Field("event_id"),
)

EVENT_TABLES: dict[str, tuple[Field, ...]] = {
    "bills": (
        *_EVERY_EVENT,
        Field("item", required=True),
        Field("category"),
        Field("merchant"),
        Field("amount", "double", unit="currency of the lake"),
        Field("quantity", "double", unit="pieces"),
        Field("channel"),
        Field("status"),
        Field("order_id"),
    ),
    "clicks": (*_EVERY_EVENT, Field("page", required=True), Field("element")),
    "visits": (
        *_EVERY_EVENT,
        Field("app"),
        Field("title", required=True),
        Field("description"),
        Field("action"),
    ),
    "searches": (*_EVERY_EVENT, Field("query", required=True)),
}

PROFILES = "profiles"
PROFILE_KEYS = (
    Field("user_id", required=True),
    Field("valid_from", "timestamp", required=True, unit="UTC"),
)

EVENT_SOURCES = tuple(EVENT_TABLES)
BEHAVIOUR_SOURCES = ("bills", "clicks", "visits")
"""The three sources of the behaviour sequence (paper, section 4.2.1); searches are a source of their own."""
SOURCES = (*EVENT_SOURCES, PROFILES)


def fields(source: str) -> tuple[Field, ...]:
    """The fixed columns of one source; a profile table may have any others."""
    return PROFILE_KEYS if source == PROFILES else EVENT_TABLES[source]
