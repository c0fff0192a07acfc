"""Which files of the source lake hold a user. They are only read."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from feature_repo.contracts.errors import FoundError
from feature_repo.contracts.lake import LAKE_FILE, Lake, parse_lake
from feature_repo.contracts.settings import Settings
from serving.erasure.person import Person
from serving.erasure.search import holding


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
    files, missing = [], list[str]()
    for folder, name in _folders(root):
        if folder.is_dir():
            files += [_shown(path, root) for path in holding(person, folder.resolve())]
        else:
            missing.append(f"the table {name!r} of the lake: it is no folder")
    if not person.is_findable:
        missing.append("what is neither Parquet nor SQLite: the id is too short to be told from other bytes")
    return Searched(sorted(set(files)), missing)


def _folders(root: Path) -> Iterator[tuple[Path, str]]:
    """The lake's folder, and the tables that lie elsewhere."""
    yield root, root.name
    try:
        lake: Lake = parse_lake(yaml.safe_load((root / LAKE_FILE).read_text()), str(root))
    except (OSError, ValueError, yaml.YAMLError, FoundError):
        return
    for source in lake.sources:
        folder = root / lake.table(source)
        if not folder.resolve().is_relative_to(root) or not folder.exists():
            yield folder, lake.table(source)


def _shown(path: Path, root: Path) -> str:
    return str(path.relative_to(root) if path.is_relative_to(root) else path)
