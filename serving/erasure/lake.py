"""The source lake: which of its files hold a user, and the texts of the user's life there. It is only ever read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.events import PROFILES
from feature_repo.contracts.events import fields as fields_of
from feature_repo.contracts.lake import LAKE_FILE, Lake, read_lake
from feature_repo.contracts.names import JOIN_KEY
from feature_repo.contracts.settings import Settings
from feature_repo.contracts.templates import EVENT_TEMPLATES, event_text, text_key
from serving.erasure.person import Person
from serving.erasure.search import files_below, holding, is_parquet


@dataclass(frozen=True)
class Searched:
    """Files by their paths in the lake (absolute, where they lie elsewhere), and what could not be searched."""

    files: list[str] = field(default_factory=list)
    not_searched: list[str] = field(default_factory=list)


def search(settings: Settings, person: Person) -> Searched:
    """Never fails for a lake that cannot be read: the receipt says so."""
    if not settings.lake:
        return Searched(not_searched=["the source lake: the setting lake names none"])
    root = Path(settings.lake).resolve()
    if not root.is_dir():
        return Searched(not_searched=[f"the source lake: {settings.lake} is no folder"])
    files, missing = holding(person, root), list[str]()
    sources = list(_sources(root))
    if not sources:
        missing.append(f"tables that lie outside of {root}: its {LAKE_FILE} cannot be read, or names none")
    for lake, source, folder in sources:
        if not folder.is_dir():
            missing.append(f"the table {lake.table(source)!r} of the lake: it is no folder")
        elif not folder.resolve().is_relative_to(root):
            files += holding(person, folder.resolve())
    if not person.is_findable:
        missing.append("what is neither Parquet nor SQLite: the id is too short to be told from other bytes")
    return Searched(sorted({_shown(path, root) for path in files}), missing)


def texts_of(settings: Settings, person: Person) -> set[int]:
    """The keys of every text that the user's rows give, as far as the lake's tables are folders: a table of ours keeps
    the newest events of a user alone, but a list of texts has them all."""
    root = Path(settings.lake).resolve() if settings.lake else None
    keys = set[int]()
    for lake, source, folder in _sources(root) if root else ():
        for path in files_below(folder.resolve()) if folder.is_dir() else ():
            if path.suffix == ".parquet" and is_parquet(path):
                keys |= {text_key(text) for text in _texts(lake, source, path, person) if text}
    return keys


def _sources(root: Path) -> Iterator[tuple[Lake, str, Path]]:
    """The sources and their folders; none of a lake that cannot be read."""
    try:
        lake = read_lake(root)
    except FoundError:
        return
    for source in lake.sources:
        yield lake, source, root / lake.table(source)


def _texts(lake: Lake, source: str, path: Path, person: Person) -> Iterator[str]:
    """The texts of the user's events, or the categories of the user's profiles."""
    user = lake.theirs(source, JOIN_KEY)
    for row in _rows(path, user, person):
        if source == PROFILES:
            yield from (value for name, value in row.items() if isinstance(value, str) and name != user)
        else:
            event = {each.name: row.get(lake.theirs(source, each.name)) for each in fields_of(source)}
            yield event_text(EVENT_TEMPLATES[source], event)


def _rows(path: Path, user: str, person: Person) -> Iterator[dict[str, object]]:
    """The user's rows: the columns of strings, which alone give texts."""
    with pq.ParquetFile(path) as file:
        told = [each.name for each in file.schema_arrow if pa.types.is_string(each.type)]
        for group in range(file.num_row_groups) if user in told else ():
            own = pc.equal(file.read_row_group(group, columns=[user])[user], person.user_id)
            if pc.any(own).as_py():
                yield from file.read_row_group(group, columns=told).filter(own).to_pylist()


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)
