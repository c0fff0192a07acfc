"""`lake.yaml`: what a lake holds, where its tables lie and what its columns are called."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from feature_repo.contracts.described import read_yaml
from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.events import EVENT_SOURCES, SOURCES
from feature_repo.contracts.events import fields as fields_of

LAKE_FILE = "lake.yaml"
_KEYS = frozenset(
    {"name", "sources", "domain", "currency", "timezone", "source", "licence", "ends", "tables", "columns"}
)


@dataclass(frozen=True)
class Lake:
    """One lake. `ends` is the first instant NOT observed; None means just after the last event."""

    root: str
    name: str
    sources: tuple[str, ...]
    currency: str = ""
    ends: datetime | None = None
    tables: Mapping[str, str] = field(default_factory=dict)
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def event_sources(self) -> tuple[str, ...]:
        """The event tables of this lake, in the contract's order."""
        return tuple(s for s in EVENT_SOURCES if s in self.sources)

    def table(self, source: str) -> str:
        """Path (absolute, or below the lake) or catalogue name of one source's table."""
        return self.tables.get(source, source)

    def theirs(self, source: str, column: str) -> str:
        """What the lake's owner calls our `column`."""
        return self.columns.get(source, {}).get(column, column)


def read_lake(root: Path) -> Lake:
    """The parsed `lake.yaml` of a lake's folder."""
    path = root / LAKE_FILE
    if not path.is_file():
        raise FoundError(f"{root} is not a lake: expected the file {path}. Write one with `name` and `sources`.")
    return parse_lake(read_yaml(path), str(root.absolute()))


def parse_lake(document: object, root: str) -> Lake:
    """The lake that the parsed `lake.yaml` describes. Raises FoundError naming the offending key."""
    if not isinstance(document, Mapping):
        raise FoundError(f"{root}/{LAKE_FILE} must be a mapping with `name` and `sources`, found {document!r}.")
    if unknown := set(document) - _KEYS:
        raise FoundError(f"{root}/{LAKE_FILE} has unknown keys {sorted(unknown)}; known are {sorted(_KEYS)}.")
    if missing := [key for key in ("name", "sources") if not document.get(key)]:
        raise FoundError(f"{root}/{LAKE_FILE} lacks {missing}: write a `name` and the list of `sources`.")
    if (zone := document.get("timezone") or "UTC") != "UTC":
        raise FoundError(f"{root}/{LAKE_FILE}: times are in UTC and timezone says nothing else, found {zone!r}.")
    sources = document["sources"]
    if not isinstance(sources, list):
        raise FoundError(f"{root}/{LAKE_FILE}: `sources` is a list, as in [bills, profiles], found {sources!r}.")
    if strange := [source for source in sources if source not in SOURCES]:
        raise FoundError(f"{root}/{LAKE_FILE}: unknown source {strange!r}; a source is one of {list(SOURCES)}.")
    if not set(sources) & set(EVENT_SOURCES):
        raise FoundError(f"{root}/{LAKE_FILE}: at least one event source of {list(EVENT_SOURCES)} must be listed.")
    return Lake(
        root=root,
        name=str(document["name"]),
        sources=tuple(s for s in SOURCES if s in sources),
        currency=str(document.get("currency") or ""),
        ends=_instant(document.get("ends"), f"{root}/{LAKE_FILE}: ends"),
        tables=_tables(document.get("tables") or {}, sources, root),
        columns=_columns(document.get("columns") or {}, sources, root),
    )


def _instant(value: Any, where: str) -> datetime | None:
    if value is None:
        return None
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime(value.year, value.month, value.day, tzinfo=UTC)
    try:
        instant = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError as error:
        raise FoundError(f"{where} must be an ISO date or time, found {value!r}; write e.g. 2011-09-01.") from error
    return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(UTC)


def _tables(document: object, sources: list[str], root: str) -> dict[str, str]:
    if not isinstance(document, Mapping) or (strange := set(document) - set(sources)):
        found = sorted(strange) if isinstance(document, Mapping) else document
        raise FoundError(f"{root}/{LAKE_FILE}: `tables` maps listed sources to a path or table, found {found!r}.")
    return {str(source): str(table) for source, table in document.items()}


def _columns(document: object, sources: list[str], root: str) -> dict[str, dict[str, str]]:
    """`columns: {bills: {item: product}}`; a mapping outside a source (`user_id: client`) holds for all."""
    where = f"{root}/{LAKE_FILE}: `columns`"
    if not isinstance(document, Mapping):
        raise FoundError(f"{where} maps our column names to theirs, found {document!r}.")
    shared = {str(ours): theirs for ours, theirs in document.items() if isinstance(theirs, str)}
    columns: dict[str, dict[str, str]] = {}
    for source in sources:
        known = {f.name for f in fields_of(source)}
        columns[source] = {ours: theirs for ours, theirs in shared.items() if ours in known}
    for source, mapping in document.items():
        if isinstance(mapping, str):
            if not any(source in columns[s] for s in sources):
                raise FoundError(f"{where}: {source!r} is a column of no listed source.")
            continue
        if source not in sources:
            raise FoundError(f"{where}: {source!r} is not a listed source; listed are {sources}.")
        if not isinstance(mapping, Mapping):
            raise FoundError(f"{where}.{source} maps our column names to theirs, found {mapping!r}.")
        strange = set(mapping) - {f.name for f in fields_of(source)}
        if strange and source in EVENT_SOURCES:
            raise FoundError(
                f"{where}.{source}: unknown column {sorted(strange)}; known are {[f.name for f in fields_of(source)]}."
            )
        columns[source].update({str(ours): str(theirs) for ours, theirs in mapping.items()})
    return columns
