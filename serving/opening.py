"""What the desk needs to read demands about one publication: the day's words and columns, and the settings."""

from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from feature_repo.contracts.events import EVENT_SOURCES
from feature_repo.contracts.names import PROFILE, Workdir
from feature_repo.contracts.settings import Settings
from model.rewriting.grammar import Grammar
from model.rewriting.topics import Topics
from model.rewriting.words import MOST_VALUES, LakeWords, compounds_of
from serving.audience import DemandModel
from serving.conditions import Compiler
from serving.eligibility import Eligibility, SuppressionList
from serving.errors import InvalidFilter, Misconfigured
from serving.facts import Column
from serving.filter_text import read_filters
from serving.filters import Filters, filters_of
from serving.reading import Reader
from serving.rows import Publication
from serving.texts import TextTable

_ROWS = 65_536
"""So many text vectors are compared with a topic at once: the cache is memory-mapped, and may be larger than memory."""


def open_eligibility(settings: Settings, publication: Publication) -> Eligibility:
    """Raises Misconfigured where the default filters cannot be read."""
    day = date.fromisoformat(publication.ds)
    try:
        default = read_filters(settings.default_filters)
    except InvalidFilter as error:
        raise Misconfigured(f"default_filters: {error.detail}") from error
    filters = filters_of(publication.columns, day, settings.names("denied_fields"))
    return Eligibility(filters, default, SuppressionList(settings.suppressed_users))


def open_reader(settings: Settings, model: DemandModel, filters: Filters, texts: TextTable, vectors: Any) -> Reader:
    """Reads demands in the words of the texts and profile columns of the filters' day."""
    strings = texts.texts.to_pylist()
    topics = Topics(texts.keys, strings, _nearness(model, texts, vectors))
    currency = str(model.metadata.get("currency", ""))
    columns = [column for column in filters.columns.values() if filters.knows(column.name)]
    words = LakeWords(
        sources=tuple(s for s in EVENT_SOURCES if filters.knows(f"{s}_count")),
        currency=currency,
        categories=_categories(settings.work, filters.day, [c for c in columns if c.kind == "category"]),
        numbers=tuple(c.name for c in columns if c.view == PROFILE and c.kind == "number"),
        channels=(),
        compounds=compounds_of(strings),
    )
    horizon = int(model.metadata.get("windows", {}).get("horizon_days", 0))
    return Reader(
        Grammar(words, filters.day), Compiler(filters, topics, currency), horizon, settings.demand_language.lower()
    )


def _categories(work: Workdir, day: date, columns: list[Column]) -> dict[str, tuple[str, ...]]:
    """The values of each category on the day; none of a column with more than can be meant by name."""
    found: dict[str, set[str]] = {column.source: set() for column in columns}
    for path in sorted(work.partition(PROFILE, day).glob("*.parquet")):
        with pq.ParquetFile(path) as file:
            known = [name for name in found if name in file.schema_arrow.names]
            for batch in file.iter_batches(_ROWS, columns=known) if known else ():
                for name in known:
                    if len(found[name]) <= MOST_VALUES:
                        found[name] |= set(batch.column(name).unique().to_pylist()) - {None}
    kept = {c.name: tuple(sorted(found[c.source])) for c in columns}
    return {name: values for name, values in kept.items() if len(values) <= MOST_VALUES}


def _nearness(model: DemandModel, texts: TextTable, vectors: Any) -> Callable[[str], "np.ndarray"] | None:
    """The cosines of all texts of the day to a topic; None without their vectors."""
    if vectors is None:
        return None

    def near(topic: str) -> "np.ndarray":
        asked = model.encode_texts([topic])[0]
        parts = [
            vectors.vectors[vectors.rows(texts.keys[start : start + _ROWS])] @ asked
            for start in range(0, len(texts.keys), _ROWS)
        ]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    return near
